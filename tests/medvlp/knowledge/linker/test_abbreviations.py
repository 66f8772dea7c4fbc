"""Abbreviations that a text defines, by Schwartz and Hearst."""

import pytest

from medvlp.knowledge.linker.abbreviations import definitions


def defined(text: str) -> list[tuple[str, str]]:
    return [(definition.short, text[definition.start : definition.end]) for definition in definitions(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acute pulmonary embolism (PE) of", [("PE", "pulmonary embolism")]),
        ("Magnetic resonance imaging (MRI; 3 T)", [("MRI", "Magnetic resonance imaging")]),
        ("left ventricles (LVs)", [("LV", "left ventricles")]),
        ("computed tomography (CT) and right coronary artery (RCA)", [("CT", "computed tomography"), ("RCA", "right coronary artery")]),
        ("X-linked disease type 2 (XD2)", [("XD2", "X-linked disease type 2")]),
        ("a mass (A), nodule (B)", []),
        ("a mass (arrow)", []),
        ("the spleen (CT)", []),
        ("(MRI) of the knee", []),
        ("", []),
    ],
)
def test_definitions(text: str, expected: list[tuple[str, str]]) -> None:
    assert defined(text) == expected


def test_the_long_form_is_not_sought_far_away() -> None:
    assert defined("pulmonary " + "word " * 20 + "embolism (PE)") == []
