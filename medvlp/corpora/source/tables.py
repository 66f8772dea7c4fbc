"""Rows of tables: CSV with a header, and lines of plain fields."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from medvlp.corpora.source.files import FileRow, Row, open_binary
from medvlp.errors import ConfigurationError, DataError

LONGEST_FIELD = 1 << 24
"""Characters of a field. Python's own limit, 131,072, is less than a long report; without one, an open quote reads a whole file."""
_DELIMITERS = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
_NOT_A_DELIMITER = '"\r\n\0'


def delimiter_called(name: str) -> str:
    r"""Return the delimiter that a command line names: itself, ``\t`` or ``tab``.

    Raises:
        ConfigurationError: it is not one character, or cannot separate fields.
    """
    delimiter = _DELIMITERS.get(name.strip().lower(), name)
    if len(delimiter) != 1 or delimiter in _NOT_A_DELIMITER:
        raise ConfigurationError(f"the delimiter {name!r} cannot separate fields; give one character, such as ';', or tab for a tabulator")
    return delimiter


@dataclass(frozen=True)
class CsvFile:
    """A table with a header, plain or gzipped; a row is a dictionary of strings. Rows of empty cells are skipped."""

    path: Path
    columns: tuple[str, ...] = ()
    """Required columns."""
    delimiter: str = ","

    def rows(self) -> Iterator[FileRow]:
        """See ``RowFile``."""
        csv.field_size_limit(LONGEST_FIELD)
        with open_binary(self.path) as file:
            lines = _Lines(file)
            reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
            header = self._header(reader)
            while True:
                line, offset = lines.read + 1, lines.offset
                try:
                    fields = next(reader, None)
                except (csv.Error, UnicodeDecodeError) as error:  # the reader goes on with the next line
                    fault = self._fault(error, lines, line)
                    for lost in range(line, lines.read + 1):  # a wrong quote can swallow several rows
                        yield FileRow(lost, offset, {}, fault)
                    continue
                if fields is None:
                    return
                if any(map(str.strip, fields)):
                    fault = self._count_fault(header, fields, lines, line)
                    yield FileRow(line, offset, {} if fault else dict(zip(header, fields, strict=True)), fault)

    def at(self, offset: int) -> Row:
        """See ``SeekableFile``."""
        csv.field_size_limit(LONGEST_FIELD)
        with open_binary(self.path) as file:
            header = self._header(csv.reader(_Lines(file), delimiter=self.delimiter, strict=True))
            file.seek(offset)
            try:
                return dict(zip(header, next(csv.reader(_Lines(file), delimiter=self.delimiter, strict=True)), strict=True))
            except (csv.Error, ValueError, StopIteration) as error:
                raise DataError(f"{self.path} has no row at byte {offset}; was the file changed?") from error

    def _header(self, reader: Iterator[list[str]]) -> list[str]:
        try:
            header = next(reader, [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{self.path}, line 1 {_why(error)}") from error
        missing = [column for column in self.columns if column not in header]
        if missing:
            found = ", ".join(header) or "none"
            raise DataError(f"{self.path} has no column {', '.join(missing)}; its columns are {found}")
        return header

    def _fault(self, error: Exception, lines: "_Lines", line: int) -> str:
        if lines.ended:
            raise DataError(f"{self.path} is damaged from line {line} on: {error}; was the file cut off?") from error
        return _why(error)

    def _count_fault(self, header: Sequence[str], fields: Sequence[str], lines: "_Lines", line: int) -> str:
        if len(fields) == len(header):
            return ""
        if lines.is_cut_off():
            raise DataError(f"{self.path}, line {line} has {len(fields)} fields, its header {len(header)}: was the file cut off?")
        return f"has another number of fields than the header: {len(fields)}, not {len(header)}"


@dataclass(frozen=True)
class FieldFile:
    """A file without header and quotes; the last field takes the rest of the line. Empty lines are skipped."""

    path: Path
    fields: tuple[str, ...]
    """Names of the fields."""
    delimiter: str

    def rows(self) -> Iterator[FileRow]:
        """See ``RowFile``."""
        with open_binary(self.path) as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                values, fault = self._values(line)
                if fault and not line.endswith(b"\n"):
                    raise DataError(f"{self.path}, line {number} {fault}; it is the last one: was the file cut off?")
                if fault or any(map(str.strip, values.values())):
                    yield FileRow(number, offset, values, fault)
                offset += len(line)

    def _values(self, line: bytes) -> tuple[Row, str]:
        if not line.strip():
            return {}, ""
        try:
            values = line.decode("utf-8-sig").rstrip("\r\n").split(self.delimiter, len(self.fields) - 1)
        except UnicodeDecodeError as error:
            return {}, _why(error)
        if len(values) < len(self.fields):
            return {}, f"has too few fields: {len(values)}, not {len(self.fields)}"
        return dict(zip(self.fields, values, strict=True)), ""


class _Lines:
    """The lines of a file as text, with the current position."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._last = b""
        self.offset = file.tell()
        self.read = 0
        self.ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._file.readline()
        if not line:
            self.ended = True
            raise StopIteration
        mark = "utf-8-sig" if self.offset == 0 else "utf-8"
        self._last = line
        self.offset += len(line)
        self.read += 1
        return line.decode(mark)

    def is_cut_off(self) -> bool:
        """Return whether the line just read is the last one and does not end."""
        return not self._last.endswith(b"\n")


def _why(error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"is not in UTF-8: {error.reason}"
    return f"is not a row of a table: {error}"
