"""Sections of reports, as the reports of MIMIC-CXR write them."""

import pytest

from medvlp.corpora.official.reports import report_sections


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        (" FINDINGS: Clear lungs.\n\n IMPRESSION:  Normal.", {"findings": "Clear lungs.", "impression": "Normal."}),
        (" INDICATION: Cough.\n COMPARISON: None.\n IMPRESSOIN:\n Two\n lines.", {"impression": "Two\n lines."}),
        (" CHEST, TWO VIEWS: Heart is large.\n", {"findings": "Heart is large."}),
        (" CHEST, PA AND LATERAL:\n\n INDICATION: Fever.\n\n FINDINGS: Clear.", {"findings": "Clear."}),
        (" FINDINGS AND IMPRESSION: Edema.\n", {"impression": "Edema."}),
        (" CONCLUSION: Edema.\n NOTIFICATION: Called at 5:30 PM.\n", {"impression": "Edema."}),
        (" IMPRESSION: Draft.\n\n IMPRESSION: Final: at 4:00, edema.\n", {"impression": "Final: at 4:00, edema."}),
        (" IMPRESSION: Edema.\n\n IMPRESSION:\n", {"impression": "Edema."}),
        (" FINDINGS: Clear.\n PRIOR CHEST FILM: Of last week.\n", {"findings": "Clear."}),
        (" FINDINGS: Clear.\n PORTABLE TECHNIQUE: One view.\n OVERVIEW: Seen.\n", {"findings": "Clear."}),
        (" IMPRESSION: Edema.\n REASON FOR CHEST VIEW: Cough.\n", {"impression": "Edema."}),
        (" FINDINGS: Clear.\n PORTABLE CHEST: Line removed.\n", {"findings": "Clear."}),
        (" FINDINGS: Clear.\n INCIDENTAL FINDINGS: Cyst.\n", {"findings": "Clear."}),
        (
            " FINDINGS: LUNGS: Clear.\n BONES: Intact.\n IMPRESSION: Normal.",
            {"findings": "LUNGS: Clear.\n BONES: Intact.", "impression": "Normal."},
        ),
        (" FINDINGS:\n CHEST: Clear.\n OTHER: None.\n NOTIFICATION: Called.", {"findings": "CHEST: Clear.\n OTHER: None."}),
        (" CHEST, PA:\n\n OPERATORS: A name.\n", {}),
        ("The lungs are clear.", {}),
        ("", {}),
    ],
)
def test_sections(report: str, expected: dict[str, str]) -> None:
    assert report_sections(report) == expected
