"""Configurations as plain values and back."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from medvlp.configuration import Choice, from_plain, to_plain
from medvlp.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class Small:
    section = "small"

    width: int = 2
    scales: tuple[float, ...] = (1.0,)


@dataclass(frozen=True, kw_only=True)
class Large:
    section = "large"

    parts: list[Small] = field(default_factory=list)
    place: str | None = None


KINDS = {"small": Small, "large": Large}
CHOICE = Choice(lambda name: KINDS[name], lambda kind: kind.section)


@dataclass(frozen=True, kw_only=True)
class Whole:
    name: str
    kind: Small | Large = field(default_factory=Small, metadata=CHOICE.metadata)
    inner: Small = field(default_factory=Small)
    maybe: Small | None = None
    paths: list[Path] = field(default_factory=list)


VALUES = [
    Whole(name="a"),
    Whole(name="b", kind=Large(parts=[Small(width=3), Small(scales=(0.5, 2.0))], place="here"), maybe=Small(width=9)),
]


@pytest.mark.parametrize("value", VALUES)
def test_there_and_back_through_json(value: Whole) -> None:
    assert from_plain(Whole, json.loads(json.dumps(to_plain(value)))) == value


def test_a_choice_is_a_name_and_a_section() -> None:
    assert to_plain(VALUES[1])["kind"] == "large"
    assert to_plain(VALUES[1])["large"]["place"] == "here"
    assert to_plain(Whole(name="c", paths=[Path("/x")]))["paths"] == ["/x"]


def test_what_is_younger_has_its_default() -> None:
    assert from_plain(Whole, {"name": "a"}) == Whole(name="a")
    assert from_plain(Whole, {"name": "a", "kind": "large"}) == Whole(name="a", kind=Large())
    assert from_plain(Whole, {"name": "a", "inner": {"width": 5}}).inner == Small(width=5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"name": "a", "other": 1}, "Whole has no other, only name, kind, .*newer version"),
        ({"name": "a", "inner": {"height": 1}}, "Small has no height"),
        ({"name": "a", "kind": "large", "small": {}}, "Whole has no small"),
        ({}, "Whole is incomplete"),
        ({"name": None}, "Whole.name is None, which is no str"),
        ({"name": "a", "kind": ["large"]}, "kind is .'large'., which is no str"),
        ({"name": "a", "kind": "large", "large": None}, "large is None, which is no Large"),
        ({"name": "a", "inner": None}, "Whole.inner is None, which is no Small"),
        ({"name": "a", "inner": {"width": True}}, "Small.width is True, which is no int"),
        ({"name": "a", "inner": {"width": 2.5}}, "Small.width is 2.5, which is no int"),
        ({"name": "a", "inner": {"scales": 1}}, "Small.scales is 1"),
        ({"name": "a", "inner": {"scales": ["1"]}}, "an item of Small.scales is '1', which is no float"),
        ({"name": "a", "maybe": []}, "Whole.maybe is .., which is no Small"),
        ({"name": "a", "paths": [None]}, "an item of Whole.paths is None"),
    ],
)
def test_what_does_not_fit_is_refused(values: dict, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        from_plain(Whole, values)
