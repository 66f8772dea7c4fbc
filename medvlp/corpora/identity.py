"""Fields that identify a person or an examination: they never become attributes, but keep a person's images in one split.

Names are compared without case, spaces and punctuation: "Patient ID", "PatientID", "patient-id" and "dicom_patient_id" are equal.
"""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from medvlp.configuration import flat

_PEOPLE = ("patient", "person", "subject", "participant", "individual")
_OF_A_PERSON = (
    *("birthdate", "birthday", "birthtime", "dateofbirth", "dob", "deathdate", "dateofdeath"),
    *("fullname", "firstname", "middlename", "lastname", "givenname", "familyname", "surname", "birthname", "maidenname"),
    *("mothersbirthname", "initials", "mrn", "medicalrecordnumber", "medicalrecordno", "medicalrecord", "hospitalnumber"),
    *("nhsnumber", "nhsno", "ssn", "socialsecuritynumber", "nationalid", "passportnumber", "insurancenumber", "healthplannumber"),
    *("address", "homeaddress", "streetaddress", "street", "zip", "zipcode", "postcode", "postalcode"),
    *("phone", "phonenumber", "phonenumbers", "telephone", "telephonenumber", "telephonenumbers", "mobilephone", "fax", "faxnumber"),
    *("email", "emailaddress"),
)
"""Identifying with or without an owner in the name: "birth_date", "patient_birth_date"."""
_NUMBERS = ("id", "ids", "uid", "key", "identifier", "number", "no", "nr", "num", "code")
"""Identifying together with the preceding word: "patient_id", but not "id" alone."""
_EXAMINATIONS = ("case", "study", "accession", "exam", "examination", "visit", "session", "encounter", "admission", "hadm", "stay")
_STAFF = ("physician", "doctor", "radiologist", "operator", "operators", "technician", "technologist", "nurse")
_ROLES = ("referring", "performing", "requesting", "reporting", "attending", "consulting", "reading")

_PERSON_FIELDS = {
    *(f"{person}{number}" for person in _PEOPLE for number in ("name", "names", "comments", *_NUMBERS, *_OF_A_PERSON)),
    *(f"{person}{number}" for person in ("pat", "pt") for number in ("id", "ids", "no", "nr", "number", "name")),
    *("empi", "otherpatientids", "otherpatientnames", "issuerofpatientid", "patientspouse", "responsibleperson"),
}
_EXAMINATION_FIELDS = {
    *(f"{examination}{number}" for examination in _EXAMINATIONS for number in _NUMBERS),
    *("studyinstanceuid", "seriesinstanceuid", "sopinstanceuid", "frameofreferenceuid", "instanceuid", "seriesuid", "seriesid", "sopuid"),
    *("requestedprocedureid", "placerordernumber", "fillerordernumber", "ordernumber", "deviceserialnumber"),
    *("studydate", "seriesdate", "acquisitiondate", "contentdate", "admissiondate", "dischargedate"),
    *("institutionname", "institutionaddress", "stationname"),
}
_STAFF_FIELDS = {
    *(f"{who}{name}" for who in _STAFF for name in ("name", "names", "sname", *_NUMBERS)),
    *(f"{role}{who}" for role in _ROLES for who in _STAFF),
    *("physicianofrecord", "physiciansofrecord", "namesofphysiciansreadingstudy", "nameofphysiciansreadingstudy"),
}
_UNMISTAKABLE = {*_OF_A_PERSON, *_PERSON_FIELDS, *_EXAMINATION_FIELDS, *_STAFF_FIELDS}
"""Identifying at any position, also after other words: "original_patient_id"."""
_IDENTIFYING = {*_UNMISTAKABLE, *_STAFF, "patient", "person", "participant", "individual", "name", "accession", "pid"}
"""Identifying as the whole name of a field."""
_IF_A_NUMBER = {"subject", "case", "study"}
"""Either an identifier or a word about the image, such as "chest": a value with a digit and no space is an identifier."""
_SOURCES = ("dicom", "dcm", "metadata", "meta", "header", "tags", "tag")
_TREATMENTS = ("anon", "anonymized", "anonymised", "anonymous", "deid", "deidentified", "hash", "hashed", "encoded", "original", "orig")
"""Words for the origin and processing of a field: at the ends of a name they change nothing."""

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "patient_id",
        (
            *(f"patient{number}" for number in _NUMBERS),
            *("patient", "pid"),
            *(f"{person}{number}" for person in ("person", "participant", "individual") for number in ("id", "identifier", "number", "")),
            *("patid", "patno", "ptid", "empi", "mrn", "patientmrn", "medicalrecordnumber", "medicalrecordno", "hospitalnumber"),
            *("nhsnumber", "nhsno", "ssn", "socialsecuritynumber", "nationalid", "patientname"),
        ),
    ),
    ("subject_id", (*(f"subject{number}" for number in _NUMBERS), "subject", "subjectname")),
    ("case_id", (*(f"case{number}" for number in _NUMBERS), "case")),
    ("study_id", (*(f"study{number}" for number in _NUMBERS), "studyinstanceuid", "study")),
    ("accession_number", (*(f"accession{number}" for number in _NUMBERS), "accession")),
    ("source_id", ("sourceid",)),
)
"""Groups that stay in one split, the widest first: the name of the group, and the fields that define it."""
_NOBODY = {
    *("", "-", "--", ".", "?", "n/a", "na", "nan", "none", "null", "nil", "unknown", "unk", "missing", "not available"),
    *("anonymous", "anonymized", "anonymised", "anon", "deidentified", "de-identified", "removed", "redacted", "xxx", "___"),
}
"""Values that identify nobody. Zero is not one of them: patients are often numbered from zero."""

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]+")
_POSSESSIVE = re.compile(r"['’]s\b")


def is_identifying(name: str, value: object = "0") -> bool:
    """Return whether a field identifies a person or an examination.

    Args:
        name: name of the field in any spelling; nested names are joined by dots.
        value: decides if the name alone is ambiguous.
    """
    whole, *endings = _spellings(name)
    return whole in _IDENTIFYING or (whole in _IF_A_NUMBER and _is_a_number(value)) or not _UNMISTAKABLE.isdisjoint(endings)


def without_identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a row that identify nobody, at any depth of nested objects."""
    return _cleaned(row, "")


def group_of(row: Mapping[str, Any]) -> str:
    """Return the widest group that a row names: a patient, a case, an image; "" if it names none.

    Returns:
        The name of the group and its value, which must stay in one split.
    """
    found: dict[str, str] = {}
    behind_others: dict[str, str] = {}
    for name, value in flat(row):
        whole, *endings = _spellings(name)
        if not (text := named(value)) or "issuer" in whole or (whole in _IF_A_NUMBER and not _is_a_number(value)):
            continue
        found.setdefault(whole, text)
        for ending in _UNMISTAKABLE.intersection(endings):
            behind_others.setdefault(ending, text)
    found = {**behind_others, **found}
    return next((f"{group}={found[name]}" for group, names in _GROUPS for name in names if name in found), "")


def hashed_group(corpus: str, group: str) -> str:
    """Hash the group of a sample: 16 hexadecimal digits, the same for the same group of the same corpus.

    The identifier itself stays in the corpus. Anyone with a list of all identifiers can hash them too, so a hash is a name, not a secret.
    """
    return hashlib.sha256(f"{corpus}\n{group}".encode()).hexdigest()[:16]


def named(value: object) -> str:
    """Return a value as normalised text; "" if it identifies nobody: empty, "unknown", "anonymous"."""
    if value is None or isinstance(value, (dict, list)):
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    return "" if text.casefold() in _NOBODY else text


@lru_cache(maxsize=4096)
def _spellings(name: str) -> tuple[str, ...]:
    """Return a name in lower case without separators, followed by its last words in the same form, the longest first."""
    plain = _POSSESSIVE.sub("", unicodedata.normalize("NFKC", name))
    words = [word.casefold() for word in _WORDS.findall(plain)]
    idle = {*_SOURCES, *_TREATMENTS}
    while len(words) > 1 and (words[-1].isdigit() or words[-1] in idle):
        words.pop()
    while len(words) > 1 and words[0] in idle:
        words.pop(0)
    whole = "".join(words)
    prefix = next((prefix for prefix in _SOURCES if whole.startswith(prefix) and whole != prefix), "")
    return whole.removeprefix(prefix), *("".join(words[first:]) for first in range(len(words)))


def _is_a_number(value: object) -> bool:
    text = str(value).strip()
    return any(character.isdigit() for character in text) and not any(character.isspace() for character in text)


def _cleaned(row: Mapping[str, Any], above: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in row.items():
        path = f"{above}{name}"
        if isinstance(value, dict):
            inner = _cleaned(value, f"{path}.")
            if inner or not value:
                kept[name] = inner
        elif not is_identifying(path, value):
            kept[name] = (
                [_cleaned(each, f"{path}.") if isinstance(each, dict) else each for each in value] if isinstance(value, list) else value
            )
    return kept
