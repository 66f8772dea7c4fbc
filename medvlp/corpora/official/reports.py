"""Sections of radiology reports in plain text."""

import difflib
import re

_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z ()/,&-]*):", re.MULTILINE)
_IMPRESSION, _FINDINGS = "impression", "findings"
_SYNONYMS = {"CONCLUSION": _IMPRESSION, "CONCLUSIONS": _IMPRESSION}
_SPELLINGS = {"IMPRESSION": _IMPRESSION, "FINDINGS": _FINDINGS}
_VIEWS = re.compile(r"CHEST|PORTABLE|LATERAL|VIEW|FRONTAL|RIBS")
"""Headings that name the examination: findings follow, if there is any text."""
_SIMILAR = 0.8


def report_sections(report: str) -> dict[str, str]:
    """Return the impression and the findings of a report, if present.

    A heading is a line that begins with capitals and a colon. Misspelt headings count too ("IMPRESSOIN"), "FINDINGS AND IMPRESSION" is an
    impression, and a heading that names the examination ("CHEST, TWO VIEWS:") begins findings. If a kind of section occurs several times,
    the last non-empty one counts: it is the final version.
    """
    headings = list(_HEADING.finditer(report))
    sections = {}
    for place, heading in enumerate(headings, start=1):
        end = headings[place].start() if place < len(headings) else len(report)
        name, text = _section(heading.group(1).strip()), report[heading.end() : end].strip()
        if name and text:
            sections[name] = text
    return sections


def _section(heading: str) -> str | None:
    if heading in _SYNONYMS:
        return _SYNONYMS[heading]
    for spelling, name in _SPELLINGS.items():
        if spelling in heading:
            return name
    if near := difflib.get_close_matches(heading, _SPELLINGS, n=1, cutoff=_SIMILAR):
        return _SPELLINGS[near[0]]
    return _FINDINGS if _VIEWS.search(heading) else None
