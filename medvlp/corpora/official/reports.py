"""Sections of radiology reports in plain text."""

import difflib
import re
from collections.abc import Iterator

_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z ()/,&-]*):", re.MULTILINE)
_IMPRESSION, _FINDINGS = "impression", "findings"
_NAMES = {"IMPRESSION": _IMPRESSION, "FINDINGS": _FINDINGS, "CONCLUSION": _IMPRESSION, "CONCLUSIONS": _IMPRESSION}
_SIMILAR = 0.8
_WORDS = re.compile(r"[A-Z]+")
_VIEW = {"CHEST", "PORTABLE", "LATERAL", "VIEW", "VIEWS", "FRONTAL", "RIBS"}
_OF_A_VIEW = {
    *_VIEW,
    *("AP", "PA", "LAT", "AND", "OF", "THE", "ONE", "TWO", "THREE", "FOUR", "SINGLE", "UPRIGHT", "ERECT", "SUPINE", "SEMI", "SEMIERECT"),
    *("SEMIUPRIGHT", "BEDSIDE", "PORT", "RADIOGRAPH", "RADIOGRAPHS", "FILM", "X", "RAY", "XRAY", "LEFT", "RIGHT", "BILATERAL", "DECUBITUS"),
    *("OBLIQUE", "ABDOMEN", "RIB", "WITH", "STANDARD"),
}
"""A heading of these words names the examination ("CHEST, TWO VIEWS"): findings follow, unless the report has a section for them."""
_ANATOMY = {
    *(
        "LUNG",
        "LUNGS",
        "HEART",
        "PLEURA",
        "PLEURAL",
        "MEDIASTINUM",
        "MEDIASTINAL",
        "CARDIAC",
        "CARDIOMEDIASTINAL",
        "CARDIOVASCULAR",
        "HILA",
    ),
    *("HILAR", "BONE", "BONES", "OSSEOUS", "TISSUE", "TISSUES", "ABDOMEN", "AIRWAY", "AIRWAYS", "TRACHEA", "DIAPHRAGM", "THORAX", "WALL"),
    *(
        "AORTA",
        "VESSELS",
        "VASCULATURE",
        "PULMONARY",
        "SPINE",
        "NECK",
        "LINES",
        "TUBES",
        "DEVICES",
        "HARDWARE",
        "CATHETERS",
        "PNEUMOTHORAX",
    ),
    *("EFFUSION", "EFFUSIONS", "SKELETON", "SKELETAL", "PARENCHYMA", "BREAST", "BREASTS", "THYROID", "LIVER"),
}
_OTHER = {
    *(
        "COMPARISON",
        "COMPARISONS",
        "PRIOR",
        "PREVIOUS",
        "HISTORY",
        "INDICATION",
        "INDICATIONS",
        "REASON",
        "CLINICAL",
        "TECHNIQUE",
        "PROCEDURE",
    ),
    *("EXAM", "EXAMINATION", "STUDY", "REVIEW", "REVIEWED", "ATTENDING", "ADDENDUM", "NOTIFICATION", "RECOMMENDATION", "RECOMMENDATIONS"),
    *(
        "DATE",
        "TIME",
        "DICTATED",
        "SIGNED",
        "WET",
        "READ",
        "PFI",
        "REFERENCE",
        "CONTRAST",
        "DOSE",
        "NOTE",
        "REPORT",
        "COMMENT",
        "DISCUSSED",
    ),
    *(
        "PHYSICIAN",
        "RADIOLOGIST",
        "SYMPTOMS",
        "DIAGNOSIS",
        "QUESTION",
        "REFERRING",
        "ORDERING",
        "INFORMATION",
        "COMMUNICATION",
        "CRITICAL",
        "SIGNATURE",
    ),
}
"""A heading with one of these words begins a section about something else."""
_STATED, _SIMILAR_NAME, _BY_VIEW = 2, 1, 0


def report_sections(report: str) -> dict[str, str]:
    """Return the impression and the findings of a report, if present.

    A heading is a line that begins with capitals and a colon. Misspelt headings count too ("IMPRESSOIN"), and "FINDINGS AND IMPRESSION" is
    an impression. Without a heading for the findings, one that names the examination ("CHEST, TWO VIEWS:") begins them. Headings of
    anatomy ("LUNGS:") belong to the section above. If a kind of section occurs several times, the last non-empty one counts: it is the
    final version.
    """
    sections: dict[str, tuple[int, str]] = {}
    for name, rank, text in _parts(report):
        if text and rank >= sections.get(name, (0, ""))[0]:
            sections[name] = rank, text
    return {name: text for name, (_, text) in sections.items()}


def _parts(report: str) -> Iterator[tuple[str, int, str]]:
    """Yield the kind of each impression and findings, how surely its heading names it, and its text."""
    headings = list(_HEADING.finditer(report))
    ends = [*(heading.start() for heading in headings[1:]), len(report)]
    place = 0
    while place < len(headings):
        first = place
        named = _section(headings[first].group(1).strip())
        place += 1
        if not named:
            continue
        open_findings = named == (_FINDINGS, _STATED) and not report[headings[first].end() : ends[first]].strip()
        while place < len(headings) and _is_inside(headings[place].group(1).strip(), open_findings):
            place += 1
        yield *named, report[headings[first].end() : ends[place - 1]].strip()


def _is_inside(heading: str, open_findings: bool) -> bool:
    """Return whether a heading belongs to the section above: it is about anatomy, or the findings have no text before it."""
    words = set(_WORDS.findall(heading))
    named = _section(heading)
    if words & _OTHER or (named and named[1] > _BY_VIEW):
        return False
    return open_findings or (not named and not words.isdisjoint(_ANATOMY))


def _section(heading: str) -> tuple[str, int] | None:
    if heading in _NAMES:
        return _NAMES[heading], _STATED
    words = set(_WORDS.findall(heading))
    if words & _OTHER:
        return None
    for name in ("IMPRESSION", "FINDINGS"):
        if name in words:
            return _NAMES[name], _SIMILAR_NAME
    if near := difflib.get_close_matches(heading, ("IMPRESSION", "FINDINGS"), n=1, cutoff=_SIMILAR):
        return _NAMES[near[0]], _SIMILAR_NAME
    return (_FINDINGS, _BY_VIEW) if words & _VIEW and words <= _OF_A_VIEW else None
