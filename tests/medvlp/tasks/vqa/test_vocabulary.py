"""Answers: one spelling, and a vocabulary that depends on nothing but the answers."""

import pytest

from medvlp.errors import DataError
from medvlp.metrics.answers import normalise_answer
from medvlp.tasks.vqa.vocabulary import UNKNOWN, AnswerVocabulary


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("  Yes. ", "yes"),
        ("The left  lung", "left lung"),
        ("right-sided, small", "right sided small"),
        ("2.5 cm", "2.5 cm"),
        ("Two", "2"),
        ("A", "a"),
        ("x-ray (chest)", "x ray chest"),
        ("1,500 ml", "1500 ml"),
        ("none", "0"),
        ("", ""),
    ],
)
def test_spelling(answer: str, expected: str) -> None:
    assert normalise_answer(answer) == expected
    assert normalise_answer(expected) == expected


def test_the_commonest_answer_comes_first_and_ties_are_alphabetical() -> None:
    vocabulary = AnswerVocabulary.build(["no", "Yes", "yes.", "the liver", "", "brain"])
    assert vocabulary.answers == ("yes", "brain", "liver", "no")
    assert [vocabulary.label(answer) for answer in ("YES", "a liver", "kidney", "")] == [0, 2, UNKNOWN, UNKNOWN]
    assert AnswerVocabulary.build(["no", "no", "yes"], minimum_count=2).answers == ("no",)


def test_no_answers_is_an_error() -> None:
    with pytest.raises(DataError, match="shards of questions"):
        AnswerVocabulary.build(["", ""])
