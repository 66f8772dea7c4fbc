"""Negation: what is denied, where a denial ends, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.knowledge.linker.negation import denied_names
from performance.negation import counts, written_sentences


def denied(text: str, names: list[str]) -> list[str]:
    """Return those of ``names`` whose first mention is denied."""
    ranges = sorted((text.index(name), text.index(name) + len(name)) for name in names)
    return [text[start:stop] for start, stop in sorted(denied_names(text, ranges))]


@pytest.mark.parametrize(
    ("text", "absent", "present"),
    [
        ("The patient denies chest pain, shortness of breath, or fever.", "chest pain; shortness of breath; fever", ""),
        ("He denied fever but had cough.", "fever", "cough"),
        ("There is no evidence of pneumonia or effusion in either lung.", "pneumonia; effusion", ""),
        ("No pneumothorax, heart size is normal and there is cardiomegaly.", "pneumothorax", "cardiomegaly"),
        ("No pneumothorax, stable left effusion.", "pneumothorax", "effusion"),
        ("No pneumothorax, effusion, or consolidation is seen.", "pneumothorax; effusion; consolidation", ""),
        ("No effusion in the left lung, pneumothorax, or fracture.", "effusion; pneumothorax; fracture", ""),
        ("No pleural effusion on the left or pneumothorax.", "effusion; pneumothorax", ""),
        ("Lungs: no effusion. Heart: enlarged with edema.", "effusion", "edema"),
        ("Pneumonia was ruled out.", "Pneumonia", ""),
        ("The patient was ruled out for pneumonia.", "pneumonia", ""),
        ("Pneumonia should be ruled out.", "", "Pneumonia"),
        ("CT to rule out pneumonia.", "", "pneumonia"),
        ("Evaluate to exclude fracture.", "", "fracture"),
        ("Fracture is not excluded.", "", "Fracture"),
        ("Fracture cannot be completely excluded.", "", "Fracture"),
        ("We can not rule out a fracture.", "", "fracture"),
        ("This does not exclude pneumonia.", "", "pneumonia"),
        ("The study rules out pneumonia.", "pneumonia", ""),
        ("Pneumonia is unlikely.", "Pneumonia", ""),
        ("This is unlikely to represent pneumonia.", "pneumonia", ""),
        ("Findings argue against pneumonia.", "pneumonia", ""),
        ("No new infiltrate.", "infiltrate", ""),
        ("The previously seen effusion is no longer present.", "effusion", ""),
        ("The effusion has resolved.", "effusion", ""),
        ("Interval resolution of the effusion.", "effusion", ""),
        ("Partial resolution of the effusion.", "", "effusion"),
        ("The effusion has partially resolved.", "", "effusion"),
        ("The effusion has not resolved.", "", "effusion"),
        ("No resolution of the effusion.", "", "effusion"),
        ("The effusion has not changed.", "", "effusion"),
        ("The pneumothorax is not significantly changed.", "", "pneumothorax"),
        ("Effusion without change.", "", "Effusion"),
        ("Effusion without pneumothorax.", "pneumothorax", "Effusion"),
        ("No effusion or pneumothorax; consolidation is present.", "effusion; pneumothorax", "consolidation"),
        ("There are no fractures, but there is edema.", "fractures", "edema"),
        ("Neither edema nor effusion.", "edema; effusion", ""),
        ("Chest pain: none", "Chest pain", ""),
        ("Effusion - none.", "Effusion", ""),
        ("Effusion: No, Pneumothorax: Yes", "Effusion", "Pneumothorax"),
        ("Mass: negative.", "Mass", ""),
        ("Mass: not identified. Nodule: 3 mm.", "Mass", "Nodule"),
        ("No abnormal mass, calcification or nodule.", "mass; calcification; nodule", ""),
        ("Absent pleural effusion.", "effusion", ""),
        ("Pleural effusion absent.", "effusion", ""),
        ("The lungs are clear, without effusion or edema, and there is a fracture.", "effusion; edema", "fracture"),
        ("Without any evidence for metastasis.", "metastasis", ""),
        ("Not consistent with pneumonia.", "pneumonia", ""),
        ("Not suggestive of pneumonia.", "pneumonia", ""),
        ("No radiographic findings to suggest edema.", "edema", ""),
        ("No hilar or mediastinal mass.", "mass", ""),
        ("There is no large effusion and no pneumothorax.", "effusion; pneumothorax", ""),
        (
            "Lung volumes are low without focal consolidation, large effusion, pneumothorax or edema.",
            "consolidation; effusion; pneumothorax; edema",
            "",
        ),
        ("No acute fracture or dislocation. Mild edema.", "fracture; dislocation", "edema"),
        ("There is no effusion. Cardiomegaly is noted.", "effusion", "Cardiomegaly"),
        ("He never had pneumonia.", "pneumonia", ""),
        ("Patient has no fever, cough or dyspnea with exertion.", "fever; cough; dyspnea", ""),
        ("She doesn't have pneumonia.", "pneumonia", ""),
        ("There isn't any pneumothorax.", "pneumothorax", ""),
        ("There hasn't been any hemorrhage.", "hemorrhage", ""),
        ("No obvious fracture, although edema is present.", "fracture", "edema"),
        ("Fractures of the ribs are not seen.", "Fractures", ""),
        ("Neither lung shows consolidation.", "consolidation", ""),
        ("None of the images shows a fracture.", "fracture", ""),
        ("Nothing to suggest fracture.", "fracture", ""),
        ("The aorta is free of dissection or aneurysm.", "dissection; aneurysm", ""),
        ("No pneumothorax (arrow) or effusion.", "pneumothorax; effusion", ""),
        ("Mass (not seen on the prior study) in the lung.", "", "Mass"),
        ("A mass that was not present on the prior study.", "", "mass"),
        ("Nodule not previously seen.", "", "Nodule"),
        ("Effusion, not present previously, is large.", "", "Effusion"),
        ("Pneumonia is not the cause of the fever.", "", "fever"),
        ("Not only pneumonia but also effusion.", "", "pneumonia; effusion"),
        ("No doubt there is a fracture.", "", "fracture"),
        ("No increase in effusion.", "", "effusion"),
        ("No significant change in the size of the effusion or the mass.", "", "effusion; mass"),
        ("Effusion without significant interval change.", "", "Effusion"),
        ("Fracture line is no longer visible.", "Fracture", ""),
        ("Tuberculosis was excluded by culture.", "Tuberculosis", ""),
        ("No history of diabetes or hypertension.", "diabetes; hypertension", ""),
        ("Family history negative for diabetes.", "diabetes", ""),
        ("No pneumonia, and edema has improved.", "pneumonia", "edema"),
        ("No pneumonia and edema has improved.", "pneumonia", "edema"),
        ("No pneumonia, edema has improved.", "pneumonia", "edema"),
        ("No definite pneumonia with mild edema.", "pneumonia", "edema"),
        ("No pneumonia in this patient with edema.", "pneumonia", "edema"),
        ("No cavitation within the mass.", "cavitation", "mass"),
        ("The mass shows no calcification.", "calcification", "mass"),
        ("The mass does not enhance and no edema is noted.", "edema", "mass"),
        ("The mass is not calcified.", "", "mass"),
        ("The fracture is not displaced.", "", "fracture"),
        ("Fracture without displacement.", "displacement", "Fracture"),
        ("Effusion is not large.", "", "Effusion"),
        ("The pneumothorax was not treated.", "", "pneumothorax"),
        ("She was not given treatment for pneumonia.", "", "pneumonia"),
        ("Lungs clear of consolidation, effusion and edema.", "consolidation; effusion; edema", ""),
        ("Rather than pneumonia, this is edema.", "pneumonia", "edema"),
        ("Trachea midline; no pneumothorax, pleural effusion or free air under the diaphragm.", "pneumothorax; effusion; free air", ""),
        ("There is no fluid collection, abscess, or free air, but a small mass is seen.", "fluid collection; abscess; free air", "mass"),
        ("NO PNEUMOTHORAX OR EFFUSION. CARDIOMEGALY.", "PNEUMOTHORAX; EFFUSION", "CARDIOMEGALY"),
        ("Pulmonary edema has cleared.", "edema", ""),
        ("Edema: -", "Edema", ""),
        ("w/o fracture", "fracture", ""),
        ("-ve for fracture.", "fracture", ""),
        ("There has been no recurrence of the tumor.", "recurrence", ""),
        ("The lesion is benign and no tumor.", "tumor", "lesion"),
        ("Chest tube in place with no pneumothorax.", "pneumothorax", ""),
        ("There is no longer a pneumothorax.", "pneumothorax", ""),
        ("The patient no longer has fever.", "fever", ""),
        ("Fever, not due to pneumonia.", "", "Fever"),
        ("No suspicious mass, architectural distortion, or calcification in either breast.", "mass; calcification", ""),
        ("Blunting of the angle may represent effusion, no pneumothorax.", "pneumothorax", "effusion"),
        ("Atelectasis, pneumonia not excluded.", "", "Atelectasis; pneumonia"),
        ("No effusion, pneumonia not excluded.", "effusion", "pneumonia"),
        ("No effusions. Pneumonia in the right lung is not seen but edema is.", "effusions; Pneumonia", "edema"),
        ("Edema and effusion, which were not present before, are large.", "", "Edema; effusion"),
        ("No fever\n- Mild cough", "fever", "cough"),
        ("No focal\nconsolidation.", "consolidation", ""),
        ("Question of mass, none seen.", "mass", ""),
        ("No mass, but nodule.", "mass", "nodule"),
        ("No mass; nodule.", "mass", "nodule"),
        ("Unremarkable without mass. Nodule not noted.", "mass; Nodule", ""),
        ("The fracture, previously not visible, is now apparent.", "", "fracture"),
        ("No fracture except for the rib fracture.", "fracture", ""),
        ("If no pneumothorax, remove the tube.", "", "pneumothorax"),
        ("Pneumothorax, if not drained, may recur.", "", "Pneumothorax"),
        ("Lack of pneumonia.", "pneumonia", ""),
        ("Effusion has been excluded.", "Effusion", ""),
        ("Mass has been ruled out.", "Mass", ""),
        ("Pneumonia must be considered, and effusion is absent.", "effusion", "Pneumonia"),
        ("No signs of infection or edema around the tube, with mild atelectasis.", "infection; edema", "atelectasis"),
        ("There was no hemorrhage seen, and edema was mild.", "hemorrhage", "edema"),
        ("The scan showed edema but not hemorrhage.", "hemorrhage", "edema"),
        ("The scan showed edema and not hemorrhage.", "hemorrhage", "edema"),
        ("No pleural effusion or pneumothorax is seen. Bibasilar atelectasis is seen.", "effusion; pneumothorax", "atelectasis"),
    ],
)
def test_what_is_denied(text: str, absent: str, present: str) -> None:
    expected = [name for name in absent.split("; ") if name]
    others = [name for name in present.split("; ") if name]
    assert denied(text, expected + others) == sorted(expected, key=text.index)


def test_sentences_of_somebody_else() -> None:
    """The bar of the published rules: the sentences were written by somebody who had not seen these."""
    table = counts([sentence for sentence in written_sentences() if sentence.half == "other"])
    found, flagged, total = (sum(row[place] for row in table.values()) for place in range(3))
    assert found / total >= 0.95
    assert found / flagged >= 0.95


@pytest.mark.parametrize(
    ("text", "names", "absent"),
    [
        ("No shortness of breath, pneumonia or mass.", ["shortness of breath", "pneumonia", "mass"], 3),
        ("No dyspnea on exertion.", ["dyspnea on exertion"], 1),
        ("Shortness of breath is denied.", ["Shortness of breath"], 1),
        ("Absence of teeth is noted.", ["Absence of teeth"], 0),
        ("The patient with not seen disease is well.", ["not seen disease"], 0),
    ],
)
def test_words_of_a_name_are_no_cues(text: str, names: list[str], absent: int) -> None:
    assert len(denied(text, names)) == absent


@pytest.mark.parametrize("text", ["", "a large effusion", "node and nodule", "Number 3"])
def test_a_text_without_a_cue(text: str) -> None:
    assert denied_names(text, [(0, len(text))]) == set()


_PIECES = [
    "no",
    "without",
    "is",
    "not seen",
    "effusion",
    ",",
    ".",
    "but",
    "in",
    "and",
    "or",
    "(",
    ")",
    "absent",
    "suggestive of",
    ": none",
    "\u0130",
    "the",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=25), st.lists(st.tuples(st.integers(0, 80), st.integers(1, 30)), max_size=8))
def test_only_given_names_are_denied(pieces: list[str], places: list[tuple[int, int]]) -> None:
    text = " ".join(pieces)
    names = sorted({(start, start + length) for start, length in places if start + length <= len(text)})
    assert denied_names(text, names) <= set(names)


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    denied_names(text, [(place, place + 1) for place in range(len(text))])


@pytest.mark.parametrize("unit", ["no mass, ", "is not ", "(no mass ", "neither a ", "none, a and ", "is negative, "])
def test_a_long_text_without_sentences_is_read_in_time(unit: str) -> None:
    """A quadratic search would take minutes; the test's own limit is the bound."""
    text = unit * 20_000
    names = [(place * len(unit), place * len(unit) + 2) for place in range(20_000)]
    assert denied_names(text, names) <= set(names)
