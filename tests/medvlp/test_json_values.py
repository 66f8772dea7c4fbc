"""JSON from outside: any fault is a ValueError with a reason."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from medvlp.json_values import parse_json, parse_object, typed

DEEP = ["[" * 100_000, '{"a":' * 100_000, '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"]


@dataclass(frozen=True)
class Part:
    """A part of a record."""

    name: str


@dataclass(frozen=True, kw_only=True)
class Whole:
    """A record with the types that records have."""

    step: int
    names: Mapping[str, str]
    parts: tuple[Part, ...] = ()


@pytest.mark.parametrize("content", DEEP)
def test_deep_nesting_is_a_value_error(content: str) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(content)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"null", b"3", b"[]"])
def test_what_is_no_object_is_a_value_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        parse_object(content)


def test_a_record_has_the_types_of_its_fields() -> None:
    assert typed(Whole, parse_json('{"step": 1, "names": {"a": "b"}, "parts": [{"name": "c"}], "later": 1}')) == Whole(
        step=1, names={"a": "b"}, parts=(Part("c"),)
    )


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (None, "should be a dictionary"),
        ({"step": 1}, "names: Field required"),
        ({"step": None, "names": {}}, "step: Input should be a valid integer"),
        ({"step": 1, "names": None}, "names: Input should be a valid dictionary"),
        ({"step": 1, "names": {"a": 3}}, r"names\.a: Input should be a valid string"),
        ({"step": 1, "names": {}, "parts": [{"name": None}]}, r"parts\.0\.name: Input should be a valid string"),
    ],
)
def test_other_types_are_a_value_error_that_names_the_field(values: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        typed(Whole, values)
