"""COVID chest X-ray: radiographs with notes."""

from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.official.covid_chestxray import open_covid_chestxray
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, sources, write, write_csv


def row(number: int, patient: int, **fields: Any) -> dict[str, Any]:
    place = {"folder": "images", "filename": f"{number}.jpg", "license": "CC BY", "location": "A hospital", "date": "2020"}
    notes = {"clinical_notes": 'Bilateral opacities,\nas "before"', "other_notes": ""}
    return {
        "patientid": patient,
        "sex": "F",
        "age": 60,
        "finding": "Pneumonia",
        "view": "PA",
        "modality": "X-ray",
        **place,
        **notes,
        **fields,
    }


def make(root: Path, rows: list[dict[str, Any]]) -> Path:
    write_csv(root / "metadata.csv", rows)
    for each in rows:
        draw(root / "images" / each["filename"])
    return root


def test_radiographs_become_samples(tmp_path: Path) -> None:
    corpus = open_covid_chestxray(make(tmp_path, [row(0, 1), row(1, 1, clinical_notes=""), row(2, 2, modality="CT")]))
    samples, dropped = read(corpus)
    assert corpus.left_out == {"image is not an X-ray": 1}
    assert dropped == {"no text of at least 3 words": 1}
    (sample,) = [each for of_split in samples.values() for each in of_split]
    assert (sample.texts, sample.source_id, sample.modality) == (('Bilateral opacities, as "before"',), "0", "X-ray")
    assert sample.attributes == {"finding": "Pneumonia", "view": "PA", "license": "CC BY"}


def test_a_patient_is_in_one_split(tmp_path: Path) -> None:
    rows = [row(number, number // 4) for number in range(120)]
    samples, _ = read(open_covid_chestxray(make(tmp_path, rows)))
    patients = {split: {int(source) // 4 for source in sources(of_split)} for split, of_split in samples.items()}
    assert patients["validation"]
    assert not patients["train"] & patients["validation"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*metadata\.csv; the folder of corpus 'covid-chestxray'"):
        open_covid_chestxray(tmp_path)
    whole = (make(tmp_path, [row(0, 1), row(1, 2)]) / "metadata.csv").read_text()
    write(tmp_path / "metadata.csv", whole[:-30])
    with pytest.raises(DataError, match=r"metadata\.csv is damaged from line 4 on: unexpected end of data; was the file cut off"):
        open_covid_chestxray(tmp_path)
