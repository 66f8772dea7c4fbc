"""MIMIC-CXR: its tables, its reports, and its images in both formats."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import pytest

from medvlp.corpora.identity import hashed_group
from medvlp.corpora.official.mimic_cxr import open_mimic_cxr
from medvlp.data.sample import Label
from medvlp.errors import ConfigurationError, DataError
from tests.medvlp.corpora.official.support import draw, read, write, write_csv

REPORT = """                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 FINDINGS:

 The lungs are
 clear.

 IMPRESSION:

 No acute process.
"""
IMAGES = [("a1", "10000032", "50414267", "PA"), ("a2", "10000032", "50414267", "LATERAL"), ("b1", "10000764", "57375967", "AP"),
          ("c1", "10000898", "50771383", "PA"), ("d1", "11000011", "51029426", "AP")]  # fmt: skip
SPLITS = {"a1": "train", "a2": "train", "b1": "validate", "c1": "test", "d1": "train"}


def folder(subject: str, study: str) -> str:
    return f"files/p{subject[:2]}/p{subject}/s{study}"


def make(root: Path) -> Path:
    def table(name: str, rows: list[dict[str, Any]]) -> None:
        write_csv(root / f"mimic-cxr-2.0.0-{name}.csv", rows)

    keys = ("dicom_id", "subject_id", "study_id", "ViewPosition")
    table("metadata", [{**dict(zip(keys, image, strict=True)), "Rows": 3056, "StudyDate": "21800506"} for image in IMAGES])
    table("split", [{**dict(zip(keys[:3], image, strict=False)), "split": SPLITS[image[0]]} for image in IMAGES])
    labelled = dict.fromkeys(image[1:3] for image in IMAGES[:-1])
    values = {"Edema": "1.0", "Pneumonia": "-1.0", "Fracture": "", "No Finding": "0.0"}
    table("chexpert", [{"subject_id": subject, "study_id": study, **values} for subject, study in labelled])
    for dicom, subject, study, _ in IMAGES:
        draw(root / folder(subject, study) / f"{dicom}.jpg")
        write(root / f"{folder(subject, study)}.txt", REPORT)
    return root


def test_frontal_views_with_labels_become_samples(tmp_path: Path) -> None:
    corpus = open_mimic_cxr(make(tmp_path))
    samples, dropped = read(corpus)
    assert corpus.splits() == {"train": 1, "validation": 1, "test": 1}
    assert corpus.left_out == {"view is not AP or PA": 1, "study has no CheXpert labels": 1}
    assert not dropped
    assert not corpus.public
    (sample,) = samples["train"]
    assert sample.texts == ("No acute process.", "The lungs are clear.")
    assert (sample.source_id, sample.modality) == ("a1", "X-ray")
    assert sample.labels == (
        Label("chexpert", "Edema", "positive"),
        Label("chexpert", "Pneumonia", "uncertain"),
        Label("chexpert", "No Finding", "negative"),
    )
    assert sample.attributes == {"view": "PA"}
    assert sample.group == hashed_group("mimic-cxr", "patient_id=10000032")


@pytest.mark.parametrize("value", ["2.0", "yes", "inf"])
def test_a_label_of_no_known_state_is_named(tmp_path: Path, value: str) -> None:
    path = make(tmp_path) / "mimic-cxr-2.0.0-chexpert.csv"
    path.write_text(path.read_text().replace("-1.0", value))
    with pytest.raises(DataError, match=r"chexpert\.csv, line 2 has a field 'Pneumonia' that is not 1, 0 or -1"):
        open_mimic_cxr(tmp_path)


def test_a_label_that_is_not_a_number_is_not_mentioned(tmp_path: Path) -> None:
    path = make(tmp_path) / "mimic-cxr-2.0.0-chexpert.csv"
    path.write_text(path.read_text().replace("-1.0", "nan"))
    assert {label.value for label in open_mimic_cxr(tmp_path).sample("train", 0).labels} == {"Edema", "No Finding"}


def test_gzipped_tables_and_reports_apart(tmp_path: Path) -> None:
    make(tmp_path)
    for path in list(tmp_path.glob("*.csv")):
        path.with_suffix(".csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    for path in list(tmp_path.glob("files/**/*.txt")):
        (tmp_path / "mimic-cxr-reports" / path.relative_to(tmp_path)).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, tmp_path / "mimic-cxr-reports" / path.relative_to(tmp_path))
    assert read(open_mimic_cxr(tmp_path))[0]["test"][0].texts == ("No acute process.", "The lungs are clear.")
    (path,) = tmp_path.glob("*split.csv.gz")
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(DataError, match=r"cannot read .*split\.csv\.gz: Compressed file ended"):
        open_mimic_cxr(tmp_path)


def test_a_changed_report_changes_the_fingerprint(tmp_path: Path) -> None:
    before = open_mimic_cxr(make(tmp_path)).fingerprint
    assert open_mimic_cxr(tmp_path).fingerprint == before
    write(tmp_path / f"{folder(*IMAGES[0][1:3])}.txt", REPORT.replace("clear", "not clear"))
    assert open_mimic_cxr(tmp_path).fingerprint != before


def test_a_report_in_another_encoding_is_dropped(tmp_path: Path) -> None:
    (make(tmp_path) / f"{folder(*IMAGES[2][1:3])}.txt").write_bytes(b"FINDINGS: na\xefve")
    _, dropped = read(open_mimic_cxr(tmp_path))
    assert dropped == {"report is not in UTF-8": 1}


def test_a_lost_report_is_dropped_by_reason(tmp_path: Path) -> None:
    (make(tmp_path) / f"{folder(*IMAGES[2][1:3])}.txt").unlink()
    _, dropped = read(open_mimic_cxr(tmp_path))
    assert dropped == {"report file is missing": 1}


def test_a_report_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    make(tmp_path / "corpus")
    write(tmp_path / "secret.txt", REPORT)
    for path in (tmp_path / "corpus").glob("*.csv"):
        path.write_text(path.read_text().replace("50414267", "/../../../../../secret"))
    with pytest.raises(DataError, match=r"metadata\.csv, line 2 has a field 'study_id' that names a file that is not inside the folder"):
        open_mimic_cxr(tmp_path / "corpus")


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*split\.csv or .*split\.csv\.gz; the folder of corpus 'mimic-cxr'"):
        open_mimic_cxr(tmp_path)
    with pytest.raises(ConfigurationError, match="has images in jpg and dcm, not in 'png'"):
        open_mimic_cxr(tmp_path, image_format="png")
    make(tmp_path)
    with pytest.raises(ConfigurationError, match="burned_in must be one of drop, drop-unknown, keep, not 'maybe'"):
        open_mimic_cxr(tmp_path, burned_in="maybe")
    path = tmp_path / "mimic-cxr-2.0.0-split.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:3]) + "\n")
    with pytest.raises(DataError, match=r"metadata\.csv, line 4 names an image for which the other tables state no split: was one cut off"):
        open_mimic_cxr(tmp_path)


@pytest.mark.real_data
def test_dicom_images_are_read(tmp_path: Path, shared_data: Path) -> None:
    make(tmp_path)
    for dicom, subject, study, _ in IMAGES:
        shutil.copy(shared_data / "dicom" / "MR_small.dcm", tmp_path / folder(subject, study) / f"{dicom}.dcm")
    samples, _ = read(open_mimic_cxr(tmp_path, image_format="dcm"))
    assert samples["train"][0].image.startswith(b"\xff\xd8")
