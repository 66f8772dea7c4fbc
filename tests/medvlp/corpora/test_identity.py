"""Identity: a person is recognised under any spelling, and what only describes an image stays."""

import string
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.csv_table import open_csv
from medvlp.corpora.identity import group_of, is_identifying, named, without_identity
from medvlp.corpora.jsonl import open_jsonl
from tests.medvlp.corpora.official.support import draw, read, sources, write_csv, write_json_lines

IDENTIFYING = (
    *("StudyDate_DICOM", "patient_id_hash", "empi_anon", "PTID", "pat_id", "session_id", "dicompatientid", "IssuerOfPatientID"),
    *(
        "patient_id",
        "PatientID",
        "Patient ID",
        "patient-id",
        "PATIENT.ID",
        "patientid",
        "Patient #",
        "Patient's Name",
        "Patient’s Birth Date",
    ),
    *("PatientName", "dicom_PatientID", "dicom.patient_name", "metadata.PatientBirthDate", "originalPatientID", "OtherPatientIDs", "pid"),
    *(
        "MRN",
        "mrn",
        "Medical Record Number",
        "patient_mrn",
        "AccessionNumber",
        "accession_no",
        "accession",
        "StudyInstanceUID",
        "PatientID.1",
    ),
    *("series_instance_uid", "SOPInstanceUID", "study_id", "case_id", "hadm_id", "subject_id", "Subject", "participant_id", "person"),
    *(
        "NHS Number",
        "ssn",
        "date_of_birth",
        "DOB",
        "surname",
        "First Name",
        "name",
        "Email",
        "contact_email",
        "phone",
        "address",
        "Zip code",
    ),
    *("ReferringPhysicianName", "Operators' Name", "OperatorsName", "referring_physician", "radiologist", "StudyDate", "InstitutionName"),
)
DESCRIBING = (
    *("ViewPosition_DICOM", "PatientSex_DICOM", "hash", "original", "encoded_size", "number_of_patients", "same_patient", "pt", "meta"),
    *("patient_age", "Patient Age", "PatientAge", "age", "sex", "PatientSex", "Patient's Age", "patient_position", "PatientOrientation"),
    *(
        "view",
        "view_position",
        "Follow-up #",
        "file_name",
        "filename",
        "series_description",
        "StudyDescription",
        "finding",
        "image_id",
        "id",
    ),
    *(
        "organ_name",
        "lowercase_id",
        "plane",
        "license",
        "location",
        "label_radiologist",
        "mobile",
        "portable",
        "date",
        "Finding Labels",
        "#",
        "",
    ),
    *("study_type", "case_diagnosis", "findings.name", "subjectivity", "casein", "Diagnose", "姓"),
)


@pytest.mark.parametrize("name", IDENTIFYING)
def test_whatever_names_a_person_is_identifying(name: str) -> None:
    assert is_identifying(name)


@pytest.mark.parametrize("name", DESCRIBING)
def test_whatever_describes_an_image_is_not(name: str) -> None:
    assert not is_identifying(name)


@given(
    words=st.sampled_from(
        [("patient", "id"), ("patient", "name"), ("accession", "number"), ("medical", "record", "number"), ("subject", "id")]
    ),
    between=st.sampled_from(["", " ", "_", "-", ".", "  ", "_-"]),
    case=st.sampled_from([str.lower, str.upper, str.title, str.capitalize]),
    before=st.sampled_from(["", "dicom_", "DICOM.", "meta ", "header-"]),
)
def test_every_spelling_of_a_name_is_the_same(words: tuple[str, ...], between: str, case: Any, before: str) -> None:
    assert is_identifying(before + between.join(case(word) for word in words))


def test_a_word_that_may_mean_either_is_decided_by_its_value() -> None:
    assert is_identifying("study", "s50414267")
    assert not is_identifying("study", "Chest X-ray, 2 views")
    assert not is_identifying("subject", "anatomy")
    assert group_of({"study": "Chest X-ray, 2 views"}) == ""
    assert group_of({"case": 12}) == "case_id=12"


def test_nested_fields_are_looked_at_too() -> None:
    row = {
        "patient": {"id": 7, "age": 60},
        "dicom": {"PatientName": "Doe^Jane", "Rows": 512},
        "findings": [{"name": "effusion", "patient_id": 7}],
        "patients": [{"PatientID": 7}],
        "empty": {},
        "only": {"mrn": 1},
    }
    assert without_identity(row) == {
        "patient": {"age": 60},
        "dicom": {"Rows": 512},
        "findings": [{"name": "effusion"}],
        "patients": [{}],
        "empty": {},
    }
    assert group_of(row) == "patient_id=7"


def test_the_widest_group_that_names_somebody_decides() -> None:
    assert group_of({"source_id": "s", "case_id": 3, "Subject ID": "u", "Patient ID": "p"}) == "patient_id=p"
    assert group_of({"source_id": "s", "case_id": 3, "Subject ID": "u", "Patient ID": "unknown"}) == "subject_id=u"
    assert group_of({"source_id": "s", "StudyInstanceUID": "1.2.3", "AccessionNumber": "A1"}) == "study_id=1.2.3"
    assert group_of({"source_id": "s", "AccessionNumber": "A1"}) == "accession_number=A1"
    assert group_of({"source_id": "s", "patient_age": 60}) == "source_id=s"
    assert group_of({"view": "PA"}) == ""
    assert group_of({"original_patient_id": "o", "source_id": "s"}) == "patient_id=o"
    assert group_of({"previous_patient_id": "o", "other patient ids": "x", "PatientID": "p"}) == "patient_id=p"
    assert group_of({"IssuerOfPatientID": "a hospital", "PatientID": "p"}) == "patient_id=p"
    assert group_of({"IssuerOfPatientID": "a hospital"}) == ""


@pytest.mark.parametrize("value", ["", "  ", None, "nan", "NaN", "Unknown", "ANONYMOUS", "n/a", "None", "-", float("nan"), [], {}])
def test_some_values_name_nobody(value: object) -> None:
    assert named(value) == ""
    assert group_of({"patient_id": value, "source_id": "s"}) == "source_id=s"


def test_a_number_is_one_however_it_was_exported() -> None:
    assert {named(value) for value in (7, "7", 7.0, " 7 ")} == {"7"}
    assert named(0) == "0"  # patients are counted from zero


@given(name=st.text(string.printable, max_size=12), value=st.one_of(st.none(), st.integers(), st.text(max_size=5), st.lists(st.integers())))
def test_any_field_is_kept_as_it_is_or_left_out(name: str, value: object) -> None:
    assert without_identity({name: value}) == ({} if is_identifying(name, value) else {name: value})


NAMES = ({"PatientID": "P1"}, {"Patient ID": "P1"}, {"PatientName": "Doe^Jane"}, {"AccessionNumber": "A1"}, {"MRN": "123"})


@pytest.mark.parametrize("fields", NAMES)
def test_a_person_stays_in_one_split_and_out_of_the_attributes(tmp_path: Path, fields: dict[str, str]) -> None:
    rows = [{"image": f"{number}.jpg", "text": f"a chest film number {number}", "view": "PA", **fields} for number in range(30)]
    write_json_lines(tmp_path / "captions.jsonl", rows)
    for number in range(30):
        draw(tmp_path / f"{number}.jpg")
    corpus = open_jsonl(tmp_path)
    assert list(corpus.splits().values()) == [30]
    samples, _ = read(corpus)
    assert all(sample.attributes == {"view": "PA"} for of_split in samples.values() for sample in of_split)


def test_the_columns_of_nih_are_understood(tmp_path: Path) -> None:
    rows = [
        {"Image Index": f"{n}.png", "Finding Labels": f"chest film number {n}", "Follow-up #": n, "Patient ID": n // 10, "Patient Age": 58}
        for n in range(200)
    ]
    write_csv(tmp_path / "captions.csv", rows)
    for row in rows:
        draw(tmp_path / row["Image Index"])
    corpus = open_csv(tmp_path, image_column="Image Index", text_column="Finding Labels", validation_share=0.3)
    samples, _ = read(corpus)
    homes = defaultdict(set)
    for split, of_split in samples.items():
        for source in sources(of_split):
            homes[int(source.removesuffix(".png")) // 10].add(split)
    assert set(samples) == {"train", "validation"}
    assert all(len(splits) == 1 for splits in homes.values())
    assert all(set(sample.attributes) == {"Follow-up #", "Patient Age"} for of_split in samples.values() for sample in of_split)
