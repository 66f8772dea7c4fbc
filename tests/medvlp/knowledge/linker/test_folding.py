"""Folding: one spelling for many, and the way back to the original."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.knowledge.linker.folding import fold, folded, unhyphenated


@given(st.text())
def test_every_character_leads_back_to_its_place(text: str) -> None:
    result = folded(text)
    origins = [result.origin(place, place + 1) for place in range(len(result.text))]
    assert all(0 <= start < end <= len(text) for start, end in origins)
    assert origins == sorted(origins)
    assert len(unhyphenated(text)) == len(text)


@given(st.text())
def test_folding_is_done_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X-ray", "x ray"),
        ("\ufb01brosis \ufb02uid", "fibrosis fluid"),
        ("Me\u0301nie\u0300re", "m\u00e9ni\u00e8re"),
        ("M\u00c9NI\u00c8RE", "m\u00e9ni\u00e8re"),
        ("\u03b2 \u0392 \u03bb \u03c3\u03c2", "beta beta lambda sigmasigma"),
        ("pneu\u00admo\u200bnia", "pneumonia"),
        ("Crohn\u2019s", "crohn's"),
        ("Lipitor\u2122", "lipitor "),
        ("\uff23\uff34", "ct"),
    ],
)
def test_what_becomes_of_it(text: str, expected: str) -> None:
    assert fold(text) == expected


def test_combining_accents_belong_to_their_letter() -> None:
    result = folded("Me\u0301n")
    assert result.origin(1, 2) == (1, 3)
