"""Many small records of one kind as Arrow columns: a million records take no more memory than their columns."""

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from medvlp.errors import DataError
from scaleout.io import storage

R = TypeVar("R")

Digest = bytes
"""A sha256: 32 bytes; rows may contain it in hexadecimal."""
_TYPES: dict[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), Digest: pa.binary(32)}
_CHUNK = 65_536
"""Number of records processed together in a pass over all of them."""


class RecordTable(Sequence[R], Generic[R]):
    """A sequence of dataclass records with fields of strings, integers and digests; each record is created on access."""

    def __init__(self, kind: type[R], table: pa.Table):
        self._kind = kind
        self._table = table

    @classmethod
    def of(cls, kind: type[R], records: Iterable[R]) -> "RecordTable[R]":
        """Return a table of the given records."""
        return cls.of_rows(kind, map(vars, records))

    @classmethod
    def of_rows(cls, kind: type[R], rows: Iterable[Mapping[str, Any]]) -> "RecordTable[R]":
        """Return a table of rows with the fields by name; other names are ignored. Rows are read one by one and not kept."""
        schema, remaining, tables = _schema(kind), iter(rows), []
        while chunk := [[row[name] for name in schema.names] for row in islice(remaining, _CHUNK)]:
            columns = dict(zip(schema.names, map(list, zip(*chunk, strict=True)), strict=True))
            for name in schema.names:
                if schema.field(name).type == _TYPES[Digest]:
                    columns[name] = [bytes.fromhex(value) if isinstance(value, str) else value for value in columns[name]]
            tables.append(pa.table(columns, schema=schema))
        return cls(kind, pa.concat_tables(tables).combine_chunks() if tables else schema.empty_table())

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> "RecordTable[R]": ...

    def __getitem__(self, index: int | slice) -> "R | RecordTable[R]":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        if not -len(self) <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        return self._kind(**{name: self._table.column(name)[index].as_py() for name in self._table.column_names})

    def __iter__(self) -> Iterator[R]:
        for first in range(0, len(self), _CHUNK):
            for row in self._table.slice(first, _CHUNK).to_pylist():
                yield self._kind(**row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecordTable) and self._kind is other._kind and bool(self._table.equals(other._table))

    __hash__ = None  # type: ignore[assignment]

    def column(self, name: str) -> np.ndarray:
        """Return one integer field of all records, int64."""
        return self._table.column(name).to_numpy()

    def strings(self, name: str) -> list[str]:
        """Return one string field of all records."""
        return list(self._table.column(name).to_pylist())

    def named(self, name: str) -> R:
        """Return the first record with this "name".

        Raises:
            KeyError: there is none.
        """
        places = self.where(name=name)
        if not len(places):
            raise KeyError(name)
        return self[int(places[0])]

    def total(self, name: str) -> int:
        """Return the sum of an integer field."""
        return int(self.column(name).sum())

    def totals(self, name: str, by: str) -> dict[str, int]:
        """Return the sum of an integer field for each value of another field, in the order of first appearance."""
        sums = self._table.select([by, name]).group_by(by, use_threads=False).aggregate([(name, "sum")])
        return dict(zip(sums.column(by).to_pylist(), sums.column(f"{name}_sum").to_pylist(), strict=True))

    def where(self, **values: str) -> np.ndarray:
        """Return the indices of the records whose fields have these values, int64."""
        found = np.ones(len(self), dtype=bool)
        for name, value in values.items():
            found &= pyarrow.compute.equal(self._table.column(name), value).to_numpy()
        return np.flatnonzero(found)

    def first_unlike(self, name: str, pattern: str) -> str | None:
        """Return the first value of a string field that a regular expression (RE2) does not match; None if all match."""
        column = self._table.column(name)
        matching = pyarrow.compute.fill_null(pyarrow.compute.match_substring_regex(column, pattern), False)
        place = pyarrow.compute.index(matching, False).as_py()
        return None if place < 0 else str(column[place].as_py())

    def take(self, places: np.ndarray) -> "RecordTable[R]":
        """Return the records at these indices, in this order."""
        if len(places) and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
            return RecordTable(self._kind, self._table.slice(places[0], len(places)))  # shares the memory
        return RecordTable(self._kind, self._table.take(places))

    def digest(self, *names: str) -> str:
        """Return the sha256, in hex, of these fields of all records."""
        digest = hashlib.sha256()
        for first in range(0, len(self), _CHUNK):
            for name in names:
                array = self._table.column(name).slice(first, _CHUNK).combine_chunks()
                if pa.types.is_integer(array.type):
                    digest.update(array.to_numpy().astype("<i8").tobytes())
                else:
                    lengths, content = _lengths_and_content(array.cast(pa.binary()))
                    digest.update(lengths.astype("<i8").tobytes())
                    digest.update(content)
        return digest.hexdigest()

    def save(self, uri: str) -> None:
        """Write all records as one Parquet file."""
        buffer = pa.BufferOutputStream()
        pyarrow.parquet.write_table(self._table, buffer, compression="zstd", row_group_size=_CHUNK)
        storage.write_bytes(uri, buffer.getvalue().to_pybytes())

    @classmethod
    def load(cls, kind: type[R], uri: str, maker: str) -> "RecordTable[R]":
        """Read a file written by ``save``.

        Args:
            kind: Dataclass of a record.
            uri: URI of the file.
            maker: Job that makes such a file.

        Raises:
            DataError: the file is missing or damaged, or contains other records.
        """
        try:
            table = pyarrow.parquet.read_table(pa.BufferReader(storage.read_bytes(uri)))
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{uri} is damaged ({error}); make it again with {maker}") from error
        if not table.schema.remove_metadata().equals(_schema(kind)):
            raise DataError(f"{uri} has other columns than {', '.join(_schema(kind).names)}; make it again with {maker}")
        if any(column.null_count for column in table.columns):
            raise DataError(f"{uri} was altered: it has empty cells; make it again with {maker}")
        return cls(kind, table)


def _lengths_and_content(array: pa.BinaryArray) -> tuple[np.ndarray, memoryview]:
    """Return the length of every value, and all values joined, without a Python object for each: a manifest may have a million records."""
    if not len(array):
        return np.zeros(0), memoryview(b"")
    _, offsets, content = array.buffers()
    bounds = np.frombuffer(offsets, "<i4")[array.offset : array.offset + len(array) + 1]
    return np.diff(bounds), memoryview(content)[bounds[0] : bounds[-1]]


def _schema(kind: type[Any]) -> pa.Schema:
    return pa.schema([(field.name, _TYPES[field.type]) for field in dataclasses.fields(kind)])
