"""A queue on disk for records to the tracking server, which survives an outage of the server and the death of the process."""

import logging
import threading
import uuid
from collections import deque
from itertools import islice
from pathlib import Path

from scaleout.tracking.pictures import Picture, save_picture
from scaleout.tracking.records import LineFile, Record, read_records

logger = logging.getLogger(__name__)

SPOOL_FILE = "spool.jsonl"


class Spool:
    """Records in insertion order, kept until they are acknowledged. One thread puts, another takes.

    A record is written to disk before it is sent, so that ``kill -9`` loses nothing. After a crash, records may be sent twice: the receiver
    must tolerate that.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / SPOOL_FILE
        self._waiting: deque[Record] = deque(read_records(path))
        self._file = LineFile(path)
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, record: Record) -> None:
        """Append a record; on a full disk it is kept in memory only."""
        with self._changed:
            self._waiting.append(record)
            try:
                self._file.append(record)
            except OSError as error:
                logger.warning("the tracking spool %s cannot be written (%s): a crash would now lose points", self._folder, error)

    def first(self, count: int) -> list[Record]:
        """Return up to ``count`` records from the front, without removing them."""
        with self._changed:
            return list(islice(self._waiting, count))

    def acknowledge(self, count: int) -> None:
        """Remove ``count`` records from the front, with their pictures."""
        with self._changed:
            for _ in range(count):
                record = self._waiting.popleft()
                if record["kind"] == "picture":
                    Path(record["path"]).unlink(missing_ok=True)
            if not self._waiting:
                self._file.clear()
                self._changed.notify_all()

    def wait_until_empty(self, timeout: float) -> bool:
        """Wait until all records are acknowledged; return whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def keep_picture(self, picture: Picture) -> Path:
        """Write a picture to the spool's folder: the caller may change a figure later."""
        path = self._folder / f"{uuid.uuid4().hex}.png"  # not the time, which may repeat
        save_picture(picture, path)
        return path

    def close(self) -> None:
        """Close the file; waiting records stay in it."""
        self._file.close()
