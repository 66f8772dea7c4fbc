"""Convert configurations to plain JSON and YAML values, and back.

A field may be a *choice*: one of several dataclasses, selected by name. In plain values such a field holds the name, and a separate
section, named by the dataclass, holds the dataclass's own fields::

    task: vqa
    vqa: {minimum_answer_count: 2}
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

from medvlp.errors import ConfigurationError

T = TypeVar("T")
_CHOICE = "choice"


@dataclass(frozen=True)
class Choice:
    """How to select the value of a field. The dataclasses have a class attribute ``section``."""

    find: Callable[[str], type]
    """Returns the dataclass of a name; raises ``ConfigurationError`` for an unknown one."""
    name_of: Callable[[type], str]
    """Returns the name of a dataclass."""

    @property
    def metadata(self) -> dict[str, Any]:
        """Return the metadata for ``dataclasses.field``."""
        return {_CHOICE: self}


def choices(kind: type) -> dict[str, Choice]:
    """Return the choices among the fields of a dataclass, by field name."""
    return {field.name: field.metadata[_CHOICE] for field in fields(kind) if _CHOICE in field.metadata}


def to_plain(config: Any) -> dict[str, Any]:
    """Convert a configuration to plain values that JSON and YAML can hold."""
    plain: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if (choice := field.metadata.get(_CHOICE)) is not None:
            plain |= {field.name: choice.name_of(type(value)), type(value).section: to_plain(value)}
        else:
            plain[field.name] = _plain(value)
    return plain


def from_plain(kind: type[T], values: Mapping[str, Any]) -> T:
    """Create an instance of the dataclass ``kind`` from the result of ``to_plain``, also after a JSON round trip.

    A field that ``values`` lacks takes its default: it was added later.

    Raises:
        ConfigurationError: a field is unknown, or one without a default is missing.
    """
    hints = get_type_hints(kind)
    values = dict(values)
    chosen = {name: _chosen(field, values) for name, field in _fields(kind).items() if name in choices(kind) and name in values}
    unknown = [name for name in values if name not in hints]
    if unknown:
        known = ", ".join(_fields(kind))
        raise ConfigurationError(f"{kind.__name__} has no {', '.join(unknown)}, only {known}: was it written by a newer version?")
    try:
        return kind(**{name: _value(hints[name], value) for name, value in values.items() if name not in chosen}, **chosen)
    except TypeError as error:
        raise ConfigurationError(f"{kind.__name__} is incomplete: {error}; was it written by another version?") from error


def flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, by its name with those above it, dots between."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _fields(kind: type) -> dict[str, Field[Any]]:
    return {field.name: field for field in fields(cast(Any, kind))}


def _chosen(field: Field[Any], values: dict[str, Any]) -> Any:
    """Return the value of a choice; removes its section from ``values``."""
    chosen: Any = field.metadata[_CHOICE].find(values[field.name])
    return from_plain(chosen, values.pop(chosen.section, {}))


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return to_plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    return str(value) if isinstance(value, PurePath) else value


def _value(hint: Any, value: Any) -> Any:
    """Convert ``value`` to the type ``hint``: a dataclass (or an optional one), or a list or tuple of dataclasses or other values."""
    if isinstance(hint, type) and is_dataclass(hint) and not isinstance(value, Mapping):
        raise ConfigurationError(f"{hint.__name__} is {value!r}, which is no section with fields: was it altered?")
    if value is None:
        return None
    for choice in (hint, *get_args(hint)):
        if isinstance(choice, type) and is_dataclass(choice) and isinstance(value, Mapping):
            return from_plain(choice, value)
    if get_origin(hint) in (list, tuple) and not isinstance(value, str):
        items = [_value(get_args(hint)[0], item) for item in value]
        return tuple(items) if get_origin(hint) is tuple else items
    return value
