"""RecordTable in columns are the records, and their digest is of what they say, not of how they are kept."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import DataError
from scaleout.io.record_table import RecordTable


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Anything with a name."""

    name: str
    kind: str
    count: int


THINGS = st.lists(st.builds(Thing, name=st.text(max_size=5), kind=st.sampled_from("ab"), count=st.integers(-9, 9)), max_size=9)


@given(things=THINGS)
def test_they_are_a_sequence(things: list[Thing]) -> None:
    records = RecordTable.of(Thing, things)
    assert list(records) == things
    assert [records[index] for index in range(len(records))] == things
    assert list(records[1:4]) == things[1:4]
    assert list(records[::2]) == things[::2]
    assert records == RecordTable.of(Thing, things)
    assert records.column("count").tolist() == [thing.count for thing in things]
    assert records.total("count") == sum(thing.count for thing in things)
    assert records.where(kind="a").tolist() == [index for index, thing in enumerate(things) if thing.kind == "a"]
    assert records.totals("count", by="kind") == {
        kind: sum(thing.count for thing in things if thing.kind == kind) for kind in dict.fromkeys(thing.kind for thing in things)
    }
    if things:
        assert records[-1] == things[-1]
    with pytest.raises(IndexError):
        records[len(things)]


@given(first=THINGS, second=THINGS)
def test_the_digest_tells_what_differs_and_nothing_else(first: list[Thing], second: list[Thing]) -> None:
    named = [(thing.name, thing.count) for thing in first] == [(thing.name, thing.count) for thing in second]
    assert (RecordTable.of(Thing, first).digest("name", "count") == RecordTable.of(Thing, second).digest("name", "count")) == named
    whole = RecordTable.of(Thing, first + second)
    joined = RecordTable(Thing, pa.concat_tables([RecordTable.of(Thing, part)._table for part in (first, second)]))
    assert joined.digest("name", "kind") == whole.digest("name", "kind")


@given(things=THINGS, first=st.integers(0, 5))
def test_the_digest_is_of_lengths_and_content_also_of_a_part(things: list[Thing], first: int) -> None:
    part = things[first:]
    encoded = [thing.name.encode() for thing in part]
    numbers = ([len(name) for name in encoded], [thing.count for thing in part])
    lengths, counts = (b"".join(number.to_bytes(8, "little", signed=True) for number in column) for column in numbers)
    expected = hashlib.sha256(lengths + b"".join(encoded) + counts).hexdigest()
    assert RecordTable.of(Thing, things).take(np.arange(first, max(len(things), first))).digest("name", "count") == expected


def test_empty_cells_are_refused(tmp_path: Path) -> None:
    uri = str(tmp_path / "things.parquet")
    pyarrow.parquet.write_table(pa.table({"name": ["a", None], "kind": ["a", "b"], "count": [1, 2]}), uri)
    with pytest.raises(DataError, match="has empty cells"):
        RecordTable.load(Thing, uri, "jobs/things.py")


def test_they_are_read_back(tmp_path: Path) -> None:
    records = RecordTable.of(Thing, [Thing(name=f"thing {number}", kind="a", count=number) for number in range(1000)])
    uri = str(tmp_path / "things.parquet")
    records.save(uri)
    assert RecordTable.load(Thing, uri, "jobs/things.py") == records
    assert list(records.take(np.array([5, 3]))) == [records[5], records[3]]


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Other:
        name: str

    uri = str(tmp_path / "things.parquet")
    with pytest.raises(DataError, match=r"things\.parquet"):
        RecordTable.load(Thing, uri, "jobs/things.py")
    RecordTable.of(Other, [Other("one")]).save(uri)
    with pytest.raises(DataError, match=r"other columns than name, kind, count; make it again with jobs/things\.py"):
        RecordTable.load(Thing, uri, "jobs/things.py")
    Path(uri).write_bytes(b"rubbish")
    with pytest.raises(DataError, match=r"is damaged .*jobs/things\.py"):
        RecordTable.load(Thing, uri, "jobs/things.py")
