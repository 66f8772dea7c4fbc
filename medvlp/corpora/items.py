"""The rows of a corpus in a common format, before their images are read."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa

from medvlp.corpora.source.files import Row, SeekableFile
from medvlp.data.sample import SAMPLE_COLUMNS, SampleFields, from_columns, to_columns


@dataclass(frozen=True, kw_only=True)
class Item(SampleFields):
    """A sample whose image is not read yet.

    Its ``group`` still has the corpus's own name ("patient_id=7"); only the sample has the hash.
    """

    image: str
    """Image path inside the folder of the corpus."""


class Items(Protocol):
    """The items of a split. Picklable, and compact if there are many: they are sent to every worker."""

    def __len__(self) -> int:
        """Return the number of items."""
        ...

    def __getitem__(self, index: int) -> Item:
        """Return item number ``index``."""
        ...


_SCHEMA = pa.schema([("image", pa.string()), *SAMPLE_COLUMNS.items()])


class HeldItems:
    """Items in memory as columns, which Ray shares between the workers of a machine without copying."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    @classmethod
    def of(cls, items: Iterable[Item]) -> "HeldItems":
        """Store ``items`` in memory."""
        rows = [{"image": item.image, **to_columns(item)} for item in items]
        return cls(pa.Table.from_pylist(rows, schema=_SCHEMA))

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, index: int) -> Item:
        row = {name: self._table.column(name)[index].as_py() for name in _SCHEMA.names}
        return Item(image=row.pop("image"), **from_columns(row))


class FileItems:
    """Items that stay in their file: only their offsets are kept, so that a corpus may be larger than memory."""

    def __init__(self, file: SeekableFile, offsets: Iterable[int], convert: Callable[[Row], Item]) -> None:
        self._file = file
        self._offsets = np.fromiter(offsets, dtype=np.int64)
        self._convert = convert

    def __len__(self) -> int:
        return len(self._offsets)

    def __getitem__(self, index: int) -> Item:
        return self._convert(self._file.at(int(self._offsets[index])))
