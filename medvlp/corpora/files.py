"""Read official files with errors that state the file, the line and the expected content."""

import csv
import gzip
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol, cast

from medvlp.errors import DataError

Row = dict[str, Any]


class RowFile(Protocol):
    """A file of many rows that can be read one by one."""

    @property
    def path(self) -> Path:
        """The path of the file."""
        ...

    def rows(self) -> Iterator[tuple[int, Row]]:
        """Yield every row with its byte offset."""
        ...

    def at(self, offset: int) -> Row:
        """Return the row at a byte offset."""
        ...


@dataclass(frozen=True)
class JsonLines:
    """A file with a JSON object on every line; empty lines are skipped, and NaN (invalid JSON, but often exported) means unknown."""

    path: Path

    def rows(self) -> Iterator[tuple[int, Row]]:
        """See ``RowFile``.

        Raises:
            DataError: a line is not a JSON object.
        """
        with open_binary(self.path) as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield offset, _json_object(line, f"{self.path}, line {number}")
                offset += len(line)

    def at(self, offset: int) -> Row:
        """See ``RowFile``."""
        with open_binary(self.path) as file:
            file.seek(offset)
            return _json_object(file.readline(), f"{self.path}, byte {offset}")


@dataclass(frozen=True)
class CsvFile:
    """A table with a header, plain or gzipped; a row is a dictionary of strings."""

    path: Path
    columns: tuple[str, ...] = ()
    """Required columns."""
    delimiter: str = ","

    def rows(self) -> Iterator[tuple[int, Row]]:
        """See ``RowFile``.

        Raises:
            DataError: a column is missing, or a row has more or fewer fields than the header, as in a file that was cut off.
        """
        with open_binary(self.path) as file, _csv_errors(self.path):
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            header = next(reader, [])
            self._check(header)
            offset = lines.offset
            for fields in reader:
                if fields:
                    yield offset, self._row(header, fields, f"line {reader.line_num}")
                offset = lines.offset

    def at(self, offset: int) -> Row:
        """See ``RowFile``."""
        with open_binary(self.path) as file, _csv_errors(self.path):
            header = next(csv.reader(_Lines(file), delimiter=self.delimiter, strict=True))
            file.seek(offset)
            fields = next(csv.reader(_Lines(file), delimiter=self.delimiter, strict=True))
            return self._row(header, fields, f"byte {offset}")

    def _check(self, header: Sequence[str]) -> None:
        missing = [column for column in self.columns if column not in header]
        if missing:
            found = ", ".join(header) or "none"
            raise DataError(f"{self.path} has no column {', '.join(missing)}; its columns are {found}")

    def _row(self, header: Sequence[str], fields: Sequence[str], where: str) -> Row:
        if len(fields) != len(header):
            raise DataError(f"{self.path}, {where} has {len(fields)} fields, its header {len(header)}: was the file cut off?")
        return dict(zip(header, fields, strict=True))


def read_json_rows(path: Path, keys: Sequence[str] = ()) -> list[Row]:
    """Read a JSON list of objects that have ``keys``.

    Raises:
        DataError: the file has another content.
    """
    with open_binary(path) as file:
        try:
            rows = json.loads(file.read().decode("utf-8-sig"))
        except ValueError as error:
            raise DataError(f"{path} is not JSON ({error}): was the file cut off?") from error
    if not isinstance(rows, list):
        raise DataError(f"{path} is not a list of objects")
    for number, row in enumerate(rows):
        missing = [key for key in keys if key not in row] if isinstance(row, dict) else keys
        if missing:
            raise DataError(f"{path}, object {number} has no {', '.join(missing)}")
    return rows


def read_fields(path: Path, count: int, delimiter: str) -> Iterator[list[str]]:
    """Yield the fields of every line of a file without header and quotes; the last of ``count`` fields takes the rest of the line.

    Raises:
        DataError: a line has fewer.
    """
    with open_binary(path) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            fields = _decode(line, f"{path}, line {number}").rstrip("\r\n").split(delimiter, count - 1)
            if len(fields) < count:
                raise DataError(f"{path}, line {number} has {len(fields)} fields, {count} are expected: was the file cut off?")
            yield fields


def read_text(path: Path) -> str:
    """Read a whole UTF-8 text file.

    Raises:
        DataError: it cannot be read.
    """
    with open_binary(path) as file:
        return _decode(file.read(), str(path))


@contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open a file; decompress it if it is gzipped.

    Raises:
        DataError: it is missing, unreadable or cut off.
    """
    try:
        with cast(IO[bytes], gzip.open(path) if path.suffix == ".gz" else path.open("rb")) as file:
            yield file
    except (OSError, EOFError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


class _Lines:
    """The lines of a file as text, with the current offset."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.offset = file.tell()

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            raise StopIteration
        text = line.decode("utf-8-sig" if self.offset == 0 else "utf-8")
        self.offset += len(line)
        return text


@contextmanager
def _csv_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise DataError(f"{path} is damaged: {error}; was the file cut off?") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not in UTF-8: {error.reason}") from error


def _decode(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{where} is not in UTF-8: {error.reason}") from error


def _json_object(line: bytes, where: str) -> Row:
    try:
        row = json.loads(line.decode("utf-8-sig"), parse_constant=lambda _: None)
    except ValueError as error:
        raise DataError(f"{where} is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise DataError(f"{where} is not a JSON object")
    return row
