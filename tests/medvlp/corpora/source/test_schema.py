"""The types of fields: which values they take, and as what."""

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, create_model

from medvlp.corpora.source.schema import Answer, BadRow, FileName, FilledText, RowSchema, SplitName, Text, Texts, Word, Words, check_row

UNKNOWN = [None, float("nan"), float("inf"), "nan", "NaN"]


def value_of(kind: Any, value: object) -> object:
    """What the value of a field becomes."""
    return check_row(create_model("_Row", __base__=RowSchema, field=(kind, ...)), {"field": value}).field


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_what_is_unknown_is_empty_and_never_a_word(unknown: object) -> None:
    assert [value_of(kind, unknown) for kind in (Text, Word, SplitName, Texts, Words)] == ["", "", "", (), ()]
    for kind in (FilledText, FileName, Answer):
        with pytest.raises(BadRow, match=r"has a field 'field' that is (empty|unknown)"):
            value_of(kind, unknown)


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Text, " as it is ", " as it is "),
        (Word, " CT ", "CT"),
        (Word, 2, "2"),
        (Word, 2.5, "2.5"),
        (Answer, "", ""),
        (Answer, "none", "none"),
        (Texts, "one text", ("one text",)),
        (Texts, ["one", None, "", "two"], ("one", "two")),
        (Words, ["left", 2, " left ", None], ("left", "2")),
        (Words, 2, ("2",)),
        (SplitName, "Training", "train"),
        (FileName, "a/b.jpg", "a/b.jpg"),
    ],
)
def test_values_that_are_taken(kind: Any, value: object, expected: object) -> None:
    assert value_of(kind, value) == expected


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        *((kind, value) for kind in (Text, Word, Texts, Words, FileName, SplitName) for value in (True, {}, {"a": 1}, [["a"]])),
        *((kind, 5) for kind in (Text, Texts, FileName)),
        (Texts, ["a", 5]),
        *((FileName, name) for name in ("", " ", "..", "/a", "a/../b", "a\0")),
        *((SplitName, name) for name in ("a/b", "..", "a\0b", "x" * 41)),
    ],
)
def test_values_that_are_not(kind: Any, value: object) -> None:
    with pytest.raises(BadRow, match=r"^has a field 'field' that [a-z ]+$"):
        value_of(kind, value)


def test_a_field_that_is_missing_is_named_and_a_mistake_in_a_schema_is_seen() -> None:
    with pytest.raises(BadRow, match="has a field 'field' that is missing"):
        check_row(create_model("_Row", __base__=RowSchema, field=(Text, ...)), {"other": ""})

    def planted(value: str) -> str:
        raise TypeError("planted")

    with pytest.raises(TypeError, match="planted"):
        value_of(Annotated[Text, AfterValidator(planted)], "")
