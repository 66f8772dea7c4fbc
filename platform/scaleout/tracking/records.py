"""JSON lines that survive a crash: the file format of the local metrics and of the MLflow spool."""

import errno
import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlp.json_values import parse_object, typed

Record = dict[str, Any]


def encode_metrics(values: Mapping[str, float]) -> dict[str, float | str]:
    """Encode numbers as strict JSON; non-finite values are spelt as in protocol buffers' JSON, which ``float`` can read."""
    return {name: _encode_number(float(value)) for name, value in sorted(values.items())}


def decode_metrics(values: Mapping[str, float | str]) -> dict[str, float]:
    """Reverse ``encode_metrics``."""
    return {name: float(value) for name, value in values.items()}


def encode_line(record: Mapping[str, Any]) -> bytes:
    """Encode one record as one line."""
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def read_records(path: Path) -> list[Record]:
    """Read all whole records of a file; none if there is no file.

    A last line torn by a crash is cut off, so that the file can be appended to.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return [record for line in whole.splitlines() if (record := _parse(line)) is not None]


class LineFile:
    """Appends records to a file, each whole or not at all: records that do not fit on the disk are kept and written first next time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._kept = b""

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            OSError: the record does not fit for now.
        """
        self._kept += encode_line(record)
        self._write()

    def clear(self) -> None:
        """Delete all records."""
        self._file.truncate(0)
        self._size, self._kept = 0, b""

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: the kept records still do not fit.
        """
        try:
            self._write()
        finally:
            self._file.close()

    def _write(self) -> None:
        try:
            if self._file.write(self._kept) < len(self._kept):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._file.truncate(self._size)  # no half line, to which the next one would be appended
            raise
        self._size += len(self._kept)
        self._kept = b""


def last_steps(records: Iterable[Record]) -> dict[str, int]:
    """Return the highest step of every metric in records that have a ``step`` and ``metrics``."""
    steps: dict[str, int] = {}
    for record in records:
        for name in record.get("metrics", ()):
            steps[name] = max(record["step"], steps.get(name, record["step"]))
    return steps


def unseen(values: Mapping[str, Any], step: int, last: Mapping[str, int]) -> dict[str, Any]:
    """Return the metrics without a point at ``step`` or later: repeated steps of a resumed run are already on the curve."""
    return {name: value for name, value in values.items() if name not in last or step > last[name]}


def _encode_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


@dataclass(frozen=True)
class _Points:
    """A record of metrics."""

    step: int
    time: float
    metrics: dict[str, float]


def _parse(line: bytes) -> Record | None:
    """Parse a record; return None for a line that a crash of the machine left corrupt."""
    try:
        record = parse_object(line)
        if "kind" not in record:
            typed(_Points, record)
    except ValueError:
        return None
    return record
