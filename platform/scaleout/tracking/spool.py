"""Track which records of a file are not delivered yet: neither a server outage nor the death of the process loses any."""

import threading
from collections import deque
from contextlib import suppress
from itertools import islice
from pathlib import Path

from scaleout.tracking.records import Record, read_records

SENT = ".sent"
"""Suffix of the file next to a file of records; it contains the number of delivered records."""


class Spool:
    """The records of a file in order, kept until they are acknowledged. One thread puts, another takes.

    After a crash, records that were sent may be sent again: the receiver must tolerate that.
    """

    def __init__(self, path: Path) -> None:
        self._position = path.with_suffix(SENT)
        records = read_records(path)
        # On a full disk, records may have been sent without being written.
        self._sent = min(_read_count(self._position), len(records))
        self._waiting: deque[Record] = deque(records[self._sent :])
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, record: Record) -> None:
        """Add a record, which the tracker writes to the file."""
        with self._changed:
            self._waiting.append(record)

    def first(self, count: int) -> list[Record]:
        """Return up to ``count`` records from the front and keep them."""
        with self._changed:
            return list(islice(self._waiting, count))

    def acknowledge(self, count: int) -> None:
        """Remove ``count`` records from the front."""
        with self._changed:
            for _ in range(count):
                self._waiting.popleft()
            self._sent += count
            with suppress(OSError):  # on a full disk; they would be sent again
                self._position.write_text(str(self._sent))
            self._changed.notify_all()

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until all records are acknowledged; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)


def _read_count(path: Path) -> int:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return 0
