"""Negation: what is denied, where a denial ends, and what only looks like one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.knowledge.linker.negation import negated_ranges


def denied(text: str) -> list[str]:
    return [text[start:stop].strip(" ,") for start, stop in negated_ranges(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No pneumothorax.", ["pneumothorax"]),
        ("There is no evidence of effusion or consolidation; the heart is large", ["evidence of effusion or consolidation"]),
        ("edema without effusion but with a mass", ["effusion"]),
        ("no metastasis in the liver", ["metastasis"]),
        ("no acute abnormality of the right hypochondrium", ["acute abnormality"]),
        ("no signs of effusion of the pleura", ["signs of effusion"]),
        ("negative for fracture", ["fracture"]),
        ("absence of splenomegaly", ["splenomegaly"]),
        ("A large mass, pneumothorax is excluded", ["pneumothorax"]),
        ("The heart is large. Effusion was not seen.", ["Effusion"]),
        ("no mass is detectable and the choroid reveals nodules", ["mass"]),
        ("no " + "word " * 9 + "effusion", [("word " * 8).strip()]),
    ],
)
def test_what_is_denied(text: str, expected: list[str]) -> None:
    assert denied(text) == expected


@pytest.mark.parametrize("text", ["", "a large effusion", "no change in the effusion", "not only effusion", "node and nodule", "Number 3"])
def test_what_is_not(text: str) -> None:
    assert denied(text) == []


@given(st.lists(st.sampled_from(["no", "without", "is", "not seen", "effusion", ",", ".", "but", "in", " ", "İ"]), max_size=15))
def test_ranges_lie_in_the_text(words: list[str]) -> None:
    text = " ".join(words)
    assert all(0 <= start <= stop <= len(text) for start, stop in negated_ranges(text))
