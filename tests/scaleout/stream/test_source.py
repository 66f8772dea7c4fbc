"""The stream through Ray Data: exactly the planned micro-batches, whatever the number of consumers."""

import threading
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st

from scaleout.compat.ray_internals import Pause
from scaleout.stream import source
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, stream_rows
from scaleout.stream.source import BLOCK_ROWS, MOST_WINDOWS, Rounds, segment_dataset, segments, start_segment_server, worker_tables
from tests.scaleout.stream.plans import plan_of
from tests.scaleout.stream.toy_stream import read_all, toy_split


def short_segments(split: PlannedSplit) -> PlannedSplit:
    """Opened by a segment server: from here on its segments have two, then four windows."""
    source.FIRST_WINDOWS, source.MOST_WINDOWS = 2, 4
    return split


def numbered(rows: range) -> pa.Table:
    """Rows of the stream that have nothing but their position."""
    columns = {field.name: pa.nulls(len(rows), field.type) for field in ROW_SCHEMA}
    return pa.table({**columns, "position": pa.array(rows, pa.int64())}, schema=ROW_SCHEMA)


@given(
    micro_batch=st.integers(1, 5),
    workers=st.integers(1, 4),
    block_rows=st.integers(1, 12),
    first=st.integers(0, 99),
    turns=st.integers(1, 30),
)
def test_every_round_splits_whole_micro_batches_round_robin(
    micro_batch: int, workers: int, block_rows: int, first: int, turns: int
) -> None:
    rounds = Rounds(micro_batch, workers, block_rows)
    assert rounds.block % micro_batch == 0
    assert rounds.block >= block_rows
    rows = numbered(range(first * micro_batch, (first + turns * workers) * micro_batch))
    found: list[list[int]] = [[] for _ in range(workers)]
    for start in range(0, rows.num_rows, rounds.round):
        blocks = list(rounds(rows.slice(start, rounds.round)))
        assert [block.num_rows for block in blocks] == [rounds.block] * workers
        for rank, block in enumerate(blocks):
            found[rank] += block.column("position").drop_null().to_pylist()
            assert block.schema.equals(ROW_SCHEMA)
    for rank in range(workers):
        numbers = range(first + rank, first + turns * workers, workers)
        assert found[rank] == [number * micro_batch + offset for number in numbers for offset in range(micro_batch)]


def test_blocks_are_large_however_small_micro_batches_are() -> None:
    assert [Rounds(micro_batch, 2).block for micro_batch in (1, 16, 100, 300)] == [BLOCK_ROWS, BLOCK_ROWS, 300, 300]


@given(
    rows=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    micro_batch=st.integers(1, 4),
    workers=st.integers(1, 3),
    start=st.integers(0, 50),
    turns=st.integers(1, 200),
)
def test_segments_are_the_stream_in_whole_rounds(rows: list[int], micro_batch: int, workers: int, start: int, turns: int) -> None:
    plan = plan_of(rows, window_shards=2)
    rounds = Rounds(micro_batch, workers, block_rows=8)
    start, stop = start * micro_batch, start * micro_batch + turns * micro_batch * workers
    found = list(segments(plan, start, stop, rounds))
    slices = [window for segment in found for window in segment]
    # A window may be read twice, where one segment ends in it and the next begins.
    positions = [position for window in slices for position in range(window.start, window.start + window.rows)]
    assert positions == list(range(start, stop))
    lengths = [sum(window.rows for window in segment) for segment in found]
    assert all(length % rounds.round == 0 for length in lengths[:-1])
    assert all(len(segment) <= MOST_WINDOWS + 1 for segment in found)


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
# Splits that end with the stream, that are padded, and for which one round is too many.
@pytest.mark.parametrize(("block_rows", "workers"), [(2, 3), (6, 2), (64, 3)])
def test_workers_get_the_planned_micro_batches_in_turn(tmp_path: Path, block_rows: int, workers: int) -> None:
    split, start, stop, micro_batch = toy_split(tmp_path), 24, 24 + 60, 2
    planned = [stream_rows(read_all(split, first, first + micro_batch)) for first in range(start, stop, micro_batch)]
    server = start_segment_server(partial(short_segments, split), micro_batch, block_rows)
    ray.get(server.begin.remote("a group that another one follows", start, stop, 1))
    ray.get([server.begin.remote("group", start, stop, workers)] * workers)
    assert ray.get(server.shard.remote("a group that another one follows", 0, 0)) is None
    found: list[list[list]] = [[] for _ in range(workers)]

    def consume(rank: int) -> None:
        found[rank] = [stream_rows(table) for table in worker_tables(server, "group", rank, micro_batch, prefetch=1)]

    threads = [threading.Thread(target=consume, args=(rank,)) for rank in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert found == [planned[rank::workers] for rank in range(workers)]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_every_worker_gets_as_many_micro_batches_though_the_steps_end_before(tmp_path: Path) -> None:
    split = toy_split(tmp_path)
    server = start_segment_server(partial(short_segments, split), 4)
    ray.get(server.begin.remote("group", 0, 20, 2))
    numbers: dict[int, int] = {}

    def consume(rank: int) -> None:
        numbers[rank] = len(list(worker_tables(server, "group", rank, 4, prefetch=1)))

    threads = [threading.Thread(target=consume, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert numbers == {0: 3, 1: 3}


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_a_damaged_shard_reaches_the_worker_by_name(tmp_path: Path) -> None:
    split = toy_split(tmp_path)
    server = start_segment_server(partial(short_segments, split), 4)
    (tmp_path / "shards" / "train-00001.tar").write_bytes(b"no tar")
    ray.get(server.begin.remote("group", 0, 24, 1))
    with pytest.raises(Exception, match=r"train-00001\.tar is truncated"):
        list(worker_tables(server, "group", 0, 4, prefetch=1))


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
def test_the_loop_of_an_execution_rests(tmp_path: Path) -> None:
    split = toy_split(tmp_path)
    dataset = segment_dataset(split.reader, list(split.plan.slices(0, 24)), Rounds(4, 1))
    assert Pause in dataset.context.custom_execution_callback_classes
    assert dataset.context.execution_options.preserve_order
    assert Pause not in ray.data.DataContext.get_current().custom_execution_callback_classes, "only of the stream"
