"""MELINDA: the class as an answer."""

from pathlib import Path

import pytest

from medvlp.corpora.official.melinda import open_melinda
from medvlp.data.sample import Label
from medvlp.errors import ConfigurationError, DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_csv

ROW = {
    "figure_file": "1.png",
    "caption": "A blot,\nof two  lines",
    "i_meth": "western blot",
    "p_meth": "co-ip",
    "i_meth_label": "physical",
    "p_meth_label": "genetic",
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    draw(tmp_path / "melinda_images" / "1.png")
    for name in ("train", "dev", "test"):
        write_csv(tmp_path / f"{name}.csv", [ROW])
    return tmp_path


def test_the_chosen_label_is_the_answer(root: Path) -> None:
    samples, _ = read(open_melinda(root))
    for split in ("train", "validation", "test"):
        (sample,) = samples[split]
        assert (sample.texts, sample.answer, sample.answer_type) == ((ROW["caption"],), "genetic", "p_meth_label")
        assert sample.labels == tuple(Label(name, ROW[name]) for name in ("i_meth", "p_meth", "i_meth_label", "p_meth_label"))
        assert sample.attributes == {}
    assert open_melinda(root, label="i_meth").sample("test", 0).answer == "western blot"


def test_what_is_wrong_is_named(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="no label column 'meth'; it has i_meth, p_meth"):
        open_melinda(root, label="meth")
    whole = (root / "dev.csv").read_text()
    for text, message in (
        (whole[:-25], r"dev\.csv, line 2 has \d fields, its header 6: was the file cut off"),
        (whole.replace("p_meth_label", "label"), r"dev\.csv has no column p_meth_label"),
        (whole[: whole.index("of two")], r"dev\.csv is damaged from line 2 on: .*was the file cut off"),
    ):
        write(root / "dev.csv", text)
        with pytest.raises(DataError, match=message):
            open_melinda(root)
    (root / "dev.csv").unlink()
    with pytest.raises(DataError, match=r"no file .*dev\.csv; the folder of corpus 'melinda'"):
        open_melinda(root)


@pytest.mark.real_data
def test_real_rows_of_the_same_form(shared_data: Path, tmp_path: Path) -> None:
    for name, source in (("train", "train"), ("dev", "dev"), ("test", "dev")):
        (tmp_path / f"{name}.csv").symlink_to(shared_data / "medpix_cls" / f"{source}.csv")
    (tmp_path / "melinda_images").symlink_to(shared_data / "medpix2" / "images")
    samples, dropped = read(open_melinda(tmp_path))
    assert not dropped
    assert {split: len(of_split) for split, of_split in samples.items()} == {"train": 1653, "validation": 197, "test": 197}
    assert {"Thorax", "Head"} <= {sample.answer for sample in samples["train"]}
