"""Configurations from plain values, as JSON gives them back."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from medvlp.errors import ConfigurationError

T = TypeVar("T")


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """An instance of the dataclass ``kind`` from what ``asdict`` made of one, also after its way through JSON.

    Raises:
        ConfigurationError: a field is unknown or missing, as in a file of another version.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(cast(Any, kind))]
    unknown = [name for name in values if name not in names]
    if unknown:
        raise ConfigurationError(
            f"{kind.__name__} has no {', '.join(unknown)}, only {', '.join(names)}: was it written by another version?"
        )
    try:
        return kind(**{name: _value(hints[name], value) for name, value in values.items()})
    except TypeError as error:
        raise ConfigurationError(f"{kind.__name__} is incomplete: {error}; was it written by another version?") from error


def _value(hint: Any, value: Any) -> Any:
    """``value`` as the type ``hint`` wants it: a dataclass (also an optional one) or a tuple."""
    for choice in (hint, *get_args(hint)):
        if isinstance(choice, type) and is_dataclass(choice) and isinstance(value, Mapping):
            return from_plain(choice, value)
    return tuple(value) if get_origin(hint) is tuple and value is not None else value
