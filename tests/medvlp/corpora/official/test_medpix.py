"""MedPix 2.0: descriptions of images, and the cases that they belong to."""

from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.official.medpix import open_medpix
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write_json, write_json_lines


def described(number: int, **fields: Any) -> dict[str, Any]:
    description = {
        "ACR Codes": "8.-1",
        "Age": "73",
        "Sex": "male",
        "Caption": "A large cyst is seen.",
        "Modality": "CT - contrast",
        "Plane": "Axial",
    }
    place = {"Location": "Abdomen", "Location Category": "Abdomen"}
    return {"Type": "CT", "U_id": f"MPX{number}", "image": f"MPX{number}_synpic1", "Description": {**description, **fields}, **place}


def make(root: Path, train: tuple[str, ...] = ("train",)) -> Path:
    splitted = root / "splitted_dataset"
    names = [*train, "dev", "test"]
    for number, name in enumerate(names):
        write_json_lines(splitted / f"descriptions_{name}.jsonl", [described(number)])
        draw(root / "images" / f"MPX{number}_synpic1.png")
    cases = [{"U_id": f"MPX{number}", "Case": {"Findings": f"Findings of case {number}.", "Case Diagnosis": "Cyst"}} for number in range(9)]
    write_json(root / "Case_topic.json", cases)
    return root


@pytest.mark.parametrize("train", [("train",), ("train_1", "train_2")])
def test_descriptions_become_samples(tmp_path: Path, train: tuple[str, ...]) -> None:
    samples, dropped = read(open_medpix(make(tmp_path, train)))
    assert not dropped
    assert {split: len(of_split) for split, of_split in samples.items()} == {"train": len(train), "validation": 1, "test": 1}
    sample = samples["train"][0]
    assert (sample.texts, sample.source_id, sample.modality) == (("A large cyst is seen.",), "MPX0_synpic1", "CT")
    place = {"location": "Abdomen", "location_category": "Abdomen"}
    assert sample.attributes == {"acquisition": "CT - contrast", "plane": "Axial", "diagnosis": "Cyst", **place}
    findings, _ = read(open_medpix(tmp_path, case_findings=True))
    assert findings["train"][0].texts == ("A large cyst is seen.", "Findings of case 0.")


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*Case_topic\.json; the folder of corpus 'medpix'"):
        open_medpix(tmp_path)
    write_json_lines(make(tmp_path) / "splitted_dataset" / "descriptions_dev.jsonl", [{"image": "MPX1_synpic1"}] * 2)
    with pytest.raises(DataError, match=r"descriptions_dev\.jsonl, line 1 has a field 'Description' that is missing"):
        open_medpix(tmp_path)
