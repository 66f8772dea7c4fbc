"""Any table with images."""

from pathlib import Path

import pytest

from medvlp.corpora.csv_table import open_csv
from medvlp.errors import DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_csv


def test_rows_become_samples(tmp_path: Path) -> None:
    rows = [
        {"file": f"{number}.png", "report": f'Line one,\nline "two" {number}', "patient_id": number % 3, "plane": "axial", "split": split}
        for number, split in enumerate(("train", "dev", "test", ""))
    ]
    write_csv(tmp_path / "table.csv", rows)
    for each in rows:
        draw(tmp_path / each["file"])
    corpus = open_csv(tmp_path, file="table.csv", image_column="file", text_column="report", name="mine")
    samples, dropped = read(corpus)
    assert (corpus.name, dropped) == ("mine", {})
    assert corpus.splits() == {"train": 2, "validation": 1, "test": 1}  # the last row follows its patient
    assert samples["validation"][0].texts == ('Line one, line "two" 1',)
    assert samples["validation"][0].attributes == {"plane": "axial"}


def test_a_column_of_patients_keeps_them_in_one_split_and_is_no_attribute(tmp_path: Path) -> None:
    rows = [{"image": f"{number}.png", "text": f"a report number {number}", "chart": number % 10} for number in range(30)]
    write_csv(tmp_path / "captions.csv", rows)
    for each in rows:
        draw(tmp_path / str(each["image"]))
    corpus = open_csv(tmp_path, patient_column="chart", validation_share=0.5)
    samples, _ = read(corpus)
    groups = {split: {sample.group for sample in of_split} for split, of_split in samples.items()}
    assert not groups["train"] & groups["validation"]
    assert sum(map(len, groups.values())) == 10
    assert all(sample.attributes == {} for of_split in samples.values() for sample in of_split)
    assert dict(corpus.grouping.kinds) == {"patient_id": 30}
    with pytest.raises(DataError, match="no column bed"):
        open_csv(tmp_path, patient_column="bed")


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*captions\.csv; the folder of corpus 'csv' must contain captions\.csv and images"):
        open_csv(tmp_path)
    write(tmp_path / "captions.csv", "image,caption\n1.png,a caption of it\n")
    with pytest.raises(DataError, match=r"captions\.csv has no column text; its columns are image, caption"):
        open_csv(tmp_path)
    write(tmp_path / "captions.csv", "image,text\n1.png,a caption of it\n,another caption here\n,and a third\n")
    draw(tmp_path / "1.png")
    with pytest.raises(DataError, match=r"line 3 has a field 'image' that is empty"):
        open_csv(tmp_path)
