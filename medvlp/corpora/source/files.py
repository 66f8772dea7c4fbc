"""What all formats of rows share: a row and its place, and files that are missing, cut off or not in UTF-8."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol, cast

from medvlp.errors import DataError

Row = dict[str, Any]


class FileRow(NamedTuple):
    """A row as it is in its file."""

    line: int
    """Line on which it begins, from 1; in a JSON list, its number, from 1."""
    offset: int
    """Byte at which it begins; 0 where the format cannot be read from the middle."""
    values: Row
    fault: str = ""
    """Why it cannot be read ("is not JSON: …"); such a row has no values."""


class RowFile(Protocol):
    """A file of many rows."""

    @property
    def path(self) -> Path:
        """The path of the file."""
        ...

    def rows(self) -> Iterator[FileRow]:
        """Yield every row, also those that cannot be read; empty ones are skipped.

        Raises:
            DataError: the file is cut off, or is no such file at all.
        """
        ...


class SeekableFile(RowFile, Protocol):
    """A file whose rows can be read one by one."""

    def at(self, offset: int) -> Row:
        """Return the row at a byte offset."""
        ...


def read_text(path: Path) -> str:
    """Read a whole text file.

    Raises:
        DataError: it cannot be read.
        UnicodeDecodeError: it is not in UTF-8.
    """
    with open_binary(path) as file:
        return file.read().decode("utf-8-sig")


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; decompress it if it is gzipped.

    Raises:
        DataError: it is missing, unreadable or cut off.
    """
    try:
        with cast(IO[bytes], gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
