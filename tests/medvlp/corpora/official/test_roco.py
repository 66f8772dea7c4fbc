"""ROCO: captions, the sentences that refer to its figures, and the retrieval benchmark."""

import random
from pathlib import Path

import pytest

from medvlp.corpora.official.roco import open_roco
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_json_lines

COMMAND = "wget -r ftp://ftp.ncbi.nlm.nih.gov/pub/pmc/oa_package/1e/ed/PMC{number}.tar.gz -P /path/to/Dir"


def make(root: Path, validation: str = "validation") -> Path:
    for number, split in enumerate(("train", validation, "test")):
        folder = root / split / "radiology"
        identifiers = [f"ROCO_{number}{place}" for place in range(4)]
        write(
            folder / "captions.txt", "".join(f"{name}\t A  caption of {name}\n" for name in identifiers[:3]) + f"{identifiers[3]}\t short\n"
        )
        write(folder / "dlinks.txt", "".join(f"{name}\t{COMMAND.format(number=name[5:])}\tfigure.jpg\n" for name in identifiers))
        for name in identifiers:
            draw(folder / "images" / f"{name}.jpg")
    return root


@pytest.mark.parametrize("validation", ["validation", "val"])
def test_captions_become_samples(tmp_path: Path, validation: str) -> None:
    corpus = open_roco(make(tmp_path / "data", validation).parent)
    samples, dropped = read(corpus)
    assert corpus.splits() == {"train": 4, "validation": 4, "test": 4}
    assert dropped == {"no text of at least 3 words": 3}
    assert next((sample.source_id, sample.texts) for sample in samples["validation"]) == ("ROCO_10", ("A caption of ROCO_10",))


def test_references_come_before_the_caption(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        said = {"roco_image_id": f"PMC{number}1_figure.jpg", "gorc_references": ["As figure 1 shows, this.", "See figure."]}
        unknown = {"roco_image_id": "PMC999_other.jpg", "gorc_references": ["Of a figure that is not here."]}
        write_json_lines(tmp_path / "said" / f"roco_{split}_references.jsonl", [said, unknown])
    samples, _ = read(open_roco(make(tmp_path), references="said"))
    assert samples["test"][1].texts == ("As figure 1 shows, this.", "A caption of ROCO_21")
    assert samples["test"][0].texts == ("A caption of ROCO_20",)
    with pytest.raises(DataError, match=r"no file .*nowhere.roco_train_references\.jsonl"):
        open_roco(tmp_path, references="nowhere")


@pytest.mark.parametrize("line", ["ROCO_00\twget\tfigure.jpg", "ROCO_00\twget", "ROCO_00"])
def test_a_short_link_costs_the_references_of_its_figure(tmp_path: Path, line: str) -> None:
    for number, split in enumerate(("train", "val", "test")):
        said = [{"roco_image_id": f"PMC{number}{place}_figure.jpg", "gorc_references": "As figure 1 shows, this."} for place in range(2)]
        write_json_lines(tmp_path / "said" / f"roco_{split}_references.jsonl", said)
    links = make(tmp_path) / "train" / "radiology" / "dlinks.txt"
    write(links, f"{line}\n" + links.read_text().partition("\n")[2])
    samples, _ = read(open_roco(tmp_path, references="said"))
    assert [sample.texts for sample in samples["train"][:2]] == [
        ("A caption of ROCO_00",),
        ("As figure 1 shows, this.", "A caption of ROCO_01"),
    ]


def test_the_retrieval_benchmark_is_drawn_as_arl_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medvlp.corpora.official.roco._RETRIEVAL_IMAGES", 2)
    corpus = open_roco(make(tmp_path), retrieval=True)
    assert corpus.splits() == {"train": 4, "validation": 2, "test": 2}
    random.seed(42)
    for number, split in enumerate(("train", "validation", "test")):
        lines = [f"ROCO_{number}{place}" for place in range(4)]
        random.shuffle(lines)
        expected = [name for name in lines if not name.endswith("3")][: 2 if number else 4]
        assert [sample.source_id for sample in read(corpus)[0][split]] == expected


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*train.radiology.captions\.txt; the folder of corpus 'roco' must contain"):
        open_roco(tmp_path)
    write(make(tmp_path) / "test" / "radiology" / "captions.txt", "ROCO_20\tA caption of it\nROCO_2")
    with pytest.raises(DataError, match=r"captions\.txt, line 2 has too few fields: 1, not 2"):
        open_roco(tmp_path)


@pytest.mark.real_data
def test_the_real_captions_of_validation(shared_data: Path, tmp_path: Path) -> None:
    for split in ("train", "validation", "test"):
        (tmp_path / split).symlink_to(shared_data / "roco_annotations" / "validation")
    with pytest.raises(DataError, match=r"24540 of the 24540 rows of corpus 'roco' cannot be used: 24540 × image file is missing"):
        open_roco(tmp_path)
    corpus = open_roco(tmp_path, maximum_missing=1)
    assert corpus.splits() == {"train": 8180, "validation": 8180, "test": 8180}
    assert corpus.items["validation"][0].texts == (
        " Axial computed tomography scan of the pelvis showing a diffuse infiltration of the bladder wall, catheter in situ (arrow).",
    )
