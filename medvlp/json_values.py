"""Read JSON files, which anybody may have written or altered: whatever is wrong with one is a ``ValueError`` with a short reason."""

from functools import cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

T = TypeVar("T")


def parse_json(content: bytes | str) -> Any:
    """Return the value of a JSON text, of at most about 200 levels.

    Raises:
        ValueError: it is not JSON, or is nested more deeply.
    """
    try:
        return from_json(content)
    except ValueError as error:
        reason = str(error).replace("recursion limit exceeded", "it is nested too deeply")
        raise ValueError(reason) from error


def parse_object(content: bytes | str) -> dict[str, Any]:
    """Return the value of a JSON text that is an object.

    Raises:
        ValueError: see ``parse_json``, or it is something else.
    """
    value = parse_json(content)
    if not isinstance(value, dict):
        raise ValueError("it is not a JSON object")
    return value


def typed(kind: type[T], values: Any) -> T:
    """Return an instance of a dataclass from JSON values; values of other names are ignored.

    Raises:
        ValueError: one is missing, or has another type than its field.
    """
    try:
        adapter: TypeAdapter[T] = _adapter(kind)  # type: ignore[arg-type]  # a class is hashable
        value = adapter.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{place}: {first['msg']}" if place else first["msg"]) from error
    return value


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
