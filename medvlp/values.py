"""What a value may be, stated at its field: ``weight_decay: Annotated[float, Range(at_least=0)]``.

One check serves command lines and recipes (``scaleout.cli``, with the names of the options) and Python (``Checked``); ``--help`` shows the
rules.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from math import inf
from numbers import Real
from types import UnionType
from typing import Annotated, Any, Literal, Protocol, Union, get_args, get_origin, get_type_hints, runtime_checkable

from medvlp.errors import ConfigurationError

LARGEST = 2**53
"""No number is larger: floats represent all smaller integers, and a product of two of them still fits the other libraries' counters."""

_is_checking = ContextVar("is_checking", default=True)


@runtime_checkable
class Rule(Protocol):
    """A rule in the annotation of a field; its ``repr`` completes the sentence "take …"."""

    def check(self, value: Any, option: str) -> None:
        """Check a value.

        Args:
            value: the value; never None.
            option: its name, for the message.

        Raises:
            ConfigurationError: the value breaks the rule.
        """


@dataclass(frozen=True, kw_only=True, repr=False)
class Range:
    """The range of a number; never infinity or NaN."""

    at_least: float = -LARGEST
    above: float = -inf
    at_most: float = LARGEST
    below: float = inf
    also: float | None = None
    """A value outside of the range with a meaning of its own."""

    def check(self, value: Any, option: str) -> None:
        """See ``Rule``."""
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if is_number and (value == self.also or (self.at_least <= value <= self.at_most and self.above < value < self.below)):
            return
        kind = "" if is_number and abs(value) <= LARGEST else "a number up to 2^53, "
        raise ConfigurationError(f"{option} is {value}: take {kind}{self}")

    def __repr__(self) -> str:
        limits = {
            "at least": None if self.at_least == -LARGEST else self.at_least,
            "more than": None if self.above == -inf else self.above,
            "at most": None if self.at_most == LARGEST else self.at_most,
            "less than": None if self.below == inf else self.below,
        }
        text = " and ".join(f"{words} {limit}" for words, limit in limits.items() if limit is not None)
        return (f"{self.also}, or " if self.also is not None else "") + (text or "any number")


AnyInteger = Annotated[int, Range()]
AnyNumber = Annotated[float, Range()]
Count = Annotated[int, Range(at_least=1)]
CountOrZero = Annotated[int, Range(at_least=0)]
Positive = Annotated[float, Range(above=0)]
PositiveOrZero = Annotated[float, Range(at_least=0)]
Share = Annotated[float, Range(at_least=0, at_most=1)]
PositiveShare = Annotated[float, Range(above=0, at_most=1)]
ShareBelowOne = Annotated[float, Range(at_least=0, below=1)]


@dataclass(frozen=True)
class Checked:
    """Base of configuration dataclasses: checks the rules of its fields when it is constructed."""

    def __post_init__(self) -> None:
        if not _is_checking.get():
            return
        hints = field_hints(type(self))
        for field in fields(self):
            check_value(hints[field.name], getattr(self, field.name), f"{type(self).__name__}.{field.name}")


@contextmanager
def unchecked() -> Iterator[None]:
    """Construct configurations without checking the rules of their fields: a recorded one is read even if a rule is newer than it."""
    token = _is_checking.set(False)
    try:
        yield
    finally:
        _is_checking.reset(token)


def field_hints(kind: Any) -> Mapping[str, Any]:
    """Return the types of the fields of a dataclass, or of the parameters of a function, with their rules."""
    return _hints(kind)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    return get_type_hints(kind, include_extras=True)


def check_value(hint: Any, value: Any, option: str) -> None:
    """Check a value, and all values inside it, against the rules in its type; None passes.

    Args:
        hint: a type, with rules in ``Annotated``.
        value: the value; for a dataclass, one that was constructed (and so checked already), or its fields as a mapping or namespace.
        option: its name, for the message.

    Raises:
        ConfigurationError: a value breaks a rule, or is none of a ``Literal``; the message names it.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if value is None:
        return
    if origin is Annotated:
        for rule in arguments[1:]:
            if isinstance(rule, Rule):
                rule.check(value, option)
        check_value(arguments[0], value, option)
    elif origin is Literal:
        if value not in arguments:
            raise ConfigurationError(f"{option} is {value!r}: take {' or '.join(map(repr, arguments))}")
    elif origin in (Union, UnionType):
        kinds = [kind for kind in arguments if kind is not type(None)]
        if len(kinds) == 1:
            check_value(kinds[0], value, option)
    elif origin is dict:
        for key, item in value.items():
            check_value(arguments[1], item, f"{option}.{key}")
    elif origin in (list, tuple):
        same = origin is list or Ellipsis in arguments
        for number, item in enumerate(value):
            check_value(arguments[0 if same else min(number, len(arguments) - 1)], item, f"{option}[{number}]")
    elif is_dataclass(hint) and not is_dataclass(value):
        values = value if isinstance(value, Mapping) else vars(value)
        for name, kind in field_hints(hint).items():
            check_value(kind, values.get(name), f"{option}.{name}")
