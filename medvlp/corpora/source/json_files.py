"""Rows of JSON files: objects on lines, or a list of objects.

NaN and infinity (invalid JSON, but often exported) become null; half a surrogate pair, which no file can store, becomes U+FFFD.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlp.corpora.source.files import FileRow, Row, open_binary
from medvlp.errors import DataError

DEEPEST = 50
"""Levels of nesting that a row may have: later steps visit them recursively."""
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(rb"\\u[dD][89a-fA-F]")
"""Half a surrogate pair, or a whole one, in the file."""


@dataclass(frozen=True)
class JsonLines:
    """A file with a JSON object on every line; empty lines are skipped."""

    path: Path

    def rows(self) -> Iterator[FileRow]:
        """See ``RowFile``."""
        with open_binary(self.path) as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    values, fault = _object(line)
                    if fault and not line.endswith(b"\n"):
                        raise DataError(f"{self.path}, line {number} {fault}; it is the last one: was the file cut off?")
                    yield FileRow(number, offset, values, fault)
                offset += len(line)

    def at(self, offset: int) -> Row:
        """See ``SeekableFile``."""
        with open_binary(self.path) as file:
            file.seek(offset)
            values, fault = _object(file.readline())
        if fault:
            raise DataError(f"{self.path}, byte {offset} {fault}; was the file changed?")
        return values


@dataclass(frozen=True)
class JsonList:
    """A file with a list of JSON objects."""

    path: Path

    def rows(self) -> Iterator[FileRow]:
        """See ``RowFile``."""
        with open_binary(self.path) as file:
            content = file.read()
        try:
            rows = _load(content)
            odd = _ESCAPED.search(content) is not None
        except (ValueError, RecursionError) as error:
            raise DataError(f"{self.path} {_why(error)}: was the file cut off?") from error
        if not isinstance(rows, list):
            raise DataError(f"{self.path} is not a list of objects")
        for number, row in enumerate(rows, start=1):
            yield FileRow(number, 0, *_checked(row, odd, _is_nested(row)))


def _object(line: bytes) -> tuple[Row, str]:
    """Return the object on a line, or why there is none."""
    try:
        value = _load(line)
    except (ValueError, RecursionError) as error:
        return {}, _why(error)
    return _checked(value, _ESCAPED.search(line) is not None, line.count(b"[") + line.count(b"{") > DEEPEST)


def _is_nested(row: Any) -> bool:
    return isinstance(row, dict) and any(isinstance(value, dict | list) for value in row.values())


def _load(content: bytes) -> Any:
    return _DECODER.decode(content.decode("utf-8-sig"))


def _number(text: str) -> float | None:
    number = float(text)
    return number if math.isfinite(number) else None


_DECODER = json.JSONDecoder(parse_constant=lambda _: None, parse_float=_number)


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return f"is nested more than {DEEPEST} levels deep"
    if isinstance(error, UnicodeDecodeError):
        return f"is not in UTF-8: {error.reason}"
    return f"is not JSON: {error}"


def _checked(value: Any, has_surrogates: bool, is_deep: bool) -> tuple[Row, str]:
    """Return an object as it can be stored, or why it is none; both flags say what to look for, which most rows do not need."""
    if not isinstance(value, dict):
        return {}, "is not a JSON object"
    if is_deep and _depth(value) > DEEPEST:
        return {}, f"is nested more than {DEEPEST} levels deep"
    return (_stored(value) if has_surrogates else value), ""


def _depth(value: Any) -> int:
    """Return the number of levels; not recursive, because there may be thousands."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, (dict, list))]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _stored(value: Any) -> Any:
    """Return a value without halves of surrogate pairs."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_stored(name): _stored(inner) for name, inner in value.items()}
    return [_stored(inner) for inner in value] if isinstance(value, list) else value
