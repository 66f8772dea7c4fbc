"""JSON lines that survive a crash: the file under both the local metrics and the spool of what MLflow has not yet got."""

import json
import math
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
