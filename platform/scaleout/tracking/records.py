"""JSON lines that survive a crash: the file under both the local metrics and the spool of what MLflow has not yet got."""

import errno
import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def encode_metrics(values: Mapping[str, float]) -> dict[str, float | str]:
    """Numbers as strict JSON; what is not finite is spelt as in protocol buffers' JSON, and ``float`` reads it back."""
    return {name: _encode_number(float(value)) for name, value in sorted(values.items())}


def decode_metrics(values: Mapping[str, float | str]) -> dict[str, float]:
    """The inverse of :func:`encode_metrics`."""
    return {name: float(value) for name, value in values.items()}


def encode_line(record: Mapping[str, Any]) -> bytes:
    """One record as one line."""
    return json.dumps(record, allow_nan=False).encode() + b"\n"


def read_records(path: Path) -> list[Record]:
    """All whole records of a file; none where there is no file.

    The last line is cut off if a crash tore it, so that the file can be appended to.
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
    """Appends records to a file, each whole or not at all: what a full disk does not take is kept, and comes first the next time."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)
        self._size = path.stat().st_size
        self._kept = b""

    def append(self, record: Mapping[str, Any]) -> None:
        """Add a record.

        Raises:
            OSError: it does not fit for now.
        """
        self._kept += encode_line(record)
        self._write()

    def clear(self) -> None:
        """Forget everything."""
        self._file.truncate(0)
        self._size, self._kept = 0, b""

    def close(self) -> None:
        """Close the file.

        Raises:
            OSError: what was kept still does not fit.
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
            self._file.truncate(self._size)  # no half line, to which the next one would be glued
            raise
        self._size += len(self._kept)
        self._kept = b""


def last_steps(records: Iterable[Record]) -> dict[str, int]:
    """The highest step of every metric in records that have a ``step`` and ``metrics``."""
    steps: dict[str, int] = {}
    for record in records:
        for name in record.get("metrics", ()):
            steps[name] = max(record["step"], steps.get(name, record["step"]))
    return steps


def unseen(values: Mapping[str, Any], step: int, last: Mapping[str, int]) -> dict[str, Any]:
    """The metrics that had no point at ``step`` or later: what a resumed run repeats is already on the curve."""
    return {name: value for name, value in values.items() if name not in last or step > last[name]}


def _encode_number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")


def _parse(line: bytes) -> Record | None:
    """A record, or None for a line that a crash of the machine left as zeros or rubbish."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
