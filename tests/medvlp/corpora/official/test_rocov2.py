"""ROCOv2: captions and concepts in tables."""

from pathlib import Path

import pytest

from medvlp.corpora.official.rocov2 import open_rocov2
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_csv


def make(root: Path, images: str) -> Path:
    for split in ("train", "valid", "test"):
        name = f"ROCOv2_2023_{split}_000001"
        write_csv(root / f"{split}_captions.csv", [{"ID": name, "Caption": f"Head CT, {split}, of a man"}])
        draw(root / images.format(split) / f"{name}.jpg")
    write_csv(root / "train_concepts.csv", [{"ID": "ROCOv2_2023_train_000001", "CUIs": "C0040405;C0018670"}])
    return root


@pytest.mark.parametrize("images", ["{}", "{}_images", "{0}_images/{0}"])
def test_captions_and_concepts_become_samples(tmp_path: Path, images: str) -> None:
    samples, dropped = read(open_rocov2(make(tmp_path, images)))
    assert not dropped
    (sample,) = samples["train"]
    assert (sample.texts, sample.attributes) == (("Head CT, train, of a man",), {"concepts": ["C0040405", "C0018670"]})
    assert samples["validation"][0].source_id == "ROCOv2_2023_valid_000001"
    assert samples["test"][0].attributes == {}


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*train_captions\.csv; the folder of corpus 'rocov2'"):
        open_rocov2(tmp_path)
    write(make(tmp_path, "{}") / "valid_captions.csv", "ID,Caption\nROCOv2_2023_valid_000001")
    with pytest.raises(DataError, match=r"valid_captions\.csv, line 2 has 1 fields, its header 2: was the file cut off"):
        open_rocov2(tmp_path)
