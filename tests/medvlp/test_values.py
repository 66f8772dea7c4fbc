"""Rules at fields: checked when a configuration is constructed, and in values that are parsed."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import pytest

from medvlp.errors import ConfigurationError
from medvlp.values import Checked, Count, Positive, Range, Share, check_value, unchecked


@dataclass(frozen=True, kw_only=True)
class Part(Checked):
    weight: Positive = 1.0


@dataclass(frozen=True, kw_only=True)
class Whole(Checked):
    steps: Count
    least: Count | None = None
    share: Share = 0.5
    mode: Literal["fast", "slow"] = "fast"
    span: tuple[Positive, Share] = (1.0, 1.0)
    spans: tuple[Positive, ...] = ()
    scores: dict[str, Share] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"steps": 0}, "steps is 0: take at least 1"),
        ({"steps": "3"}, "steps is 3: take a number"),
        ({"steps": True}, "steps is True: take a number"),
        ({"steps": 10**20}, "steps is 100000000000000000000: take a number up to 2^53, at least 1"),
        ({"least": -1}, "least is -1: take at least 1"),
        ({"share": float("nan")}, "share is nan: take a number up to 2^53, at least 0 and at most 1"),
        ({"share": float("inf")}, "share is inf"),
        ({"share": 1.5}, "share is 1.5: take at least 0 and at most 1"),
        ({"mode": "medium"}, "mode is 'medium': take 'fast' or 'slow'"),
        ({"span": (0.0, 1.0)}, "span[0] is 0.0: take more than 0"),
        ({"span": (1.0, 2.0)}, "span[1] is 2.0: take at least 0 and at most 1"),
        ({"spans": (1.0, 1.0, -1.0)}, "spans[2] is -1.0: take more than 0"),
        ({"scores": {"a": 2.0}}, "scores.a is 2.0"),
        ({"parts": [{"weight": 1.0}, {"weight": 0}]}, "parts[1].weight is 0: take more than 0"),
    ],
)
def test_a_value_outside_of_its_rule_is_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError) as in_python:
        Whole(**{"steps": 1, **values})
    assert str(in_python.value).startswith(f"Whole.{said}")
    with pytest.raises(ConfigurationError) as parsed:
        check_value(Whole, SimpleNamespace(**values), "train")
    assert str(parsed.value).startswith(f"train.{said}")


def test_values_within_their_rules_pass() -> None:
    whole = Whole(steps=1, least=2, share=0, span=(2**53, 1), spans=(1.0, 2), scores={"a": 0.5}, parts=[Part()])
    check_value(Whole, vars(whole), "train")
    check_value(Annotated[int, Range(at_least=9, also=0)], 0, "size")


def test_a_recorded_configuration_is_read_without_the_rules() -> None:
    with unchecked():
        assert Whole(steps=0).steps == 0
    with pytest.raises(ConfigurationError):
        Whole(steps=0)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        (Range(), "any number"),
        (Range(at_least=1), "at least 1"),
        (Range(above=0, at_most=1), "more than 0 and at most 1"),
        (Range(at_least=261, also=0), "0, or at least 261"),
    ],
)
def test_a_range_in_words(limits: Range, text: str) -> None:
    assert repr(limits) == text
