"""A worker's batches: in order, ahead of the step, errors and all, with no thread left behind."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
import torch

from medvlp.errors import DataError, TrainingError
from scaleout.stream.batches import BatchStream, StartedBatches, TimedExecutor, decode_threads
from scaleout.stream.local import local_tables
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit
from tests.medvlp.tiny import collate
from tests.scaleout.stream.toy_stream import toy_split


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> PlannedSplit:
    """Reads the toy corpus."""
    return toy_split(tmp_path_factory.mktemp("toy"))


def stream(tables, rank: int = 0, workers: int = 1, **settings: int) -> BatchStream:
    return BatchStream(tables=tables, collate=collate(), micro_batch=4, first=rank, stride=workers, **settings)


def of_reader(split: PlannedSplit, rank: int = 0, workers: int = 1, stop: int = 48, **settings: int) -> BatchStream:
    return stream(lambda: local_tables(split, 0, stop, 4, rank=rank, workers=workers), rank, workers, **settings)


def our_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("batches", "decode"))]


def wait_for_threads_to_end(seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while our_threads() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert our_threads() == []


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("ahead", [1, 4])
def test_threads_and_look_ahead_change_nothing(split: PlannedSplit, threads: int, ahead: int) -> None:
    expected = list(of_reader(split, threads=1, ahead=1))
    found = list(of_reader(split, threads=threads, ahead=ahead))
    assert [micro.number for micro in found] == list(range(12))
    for one, other in zip(found, expected, strict=True):
        assert one.batch.keys == other.batch.keys
        assert torch.equal(one.batch.images, other.batch.images)
        assert torch.equal(one.batch.masked_token_ids, other.batch.masked_token_ids)
    wait_for_threads_to_end()


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_together_are_one(split: PlannedSplit, workers: int) -> None:
    alone = {micro.number: micro.batch.keys for micro in of_reader(split)}
    together = {micro.number: micro.batch.keys for rank in range(workers) for micro in of_reader(split, rank, workers)}
    assert together == alone


def test_every_iteration_starts_anew(split: PlannedSplit) -> None:
    batches = of_reader(split)
    first = iter(batches)
    next(first), next(first)
    assert [micro.number for micro in batches] == list(range(12))
    assert next(first).number == 2


def test_batches_are_made_ahead(split: PlannedSplit) -> None:
    taken: list[int] = []

    def tables() -> Iterator[pa.Table]:
        for number, table in enumerate(local_tables(split, 0, 48, 4, rank=0, workers=1)):
            taken.append(number)
            yield table

    batches = iter(stream(tables, ahead=3))
    next(batches)
    deadline = time.monotonic() + 10
    while len(taken) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert taken == [0, 1, 2]
    batches.close()


def test_started_batches_are_made_before_they_are_asked_for(split: PlannedSplit) -> None:
    asked = threading.Event()

    def tables() -> Iterator[pa.Table]:
        asked.set()
        yield from local_tables(split, 0, 48, 4, rank=1, workers=2)

    started = StartedBatches(stream(tables, rank=1, workers=2))
    assert asked.wait(10)
    assert started.first == 1
    assert [micro.number for micro in started] == [1, 3, 5, 7, 9, 11]
    wait_for_threads_to_end()


def test_started_batches_tell_an_error_to_whoever_iterates(split: PlannedSplit) -> None:
    def tables() -> Iterator[pa.Table]:
        raise DataError("shard lost")
        yield

    started = StartedBatches(stream(tables))
    with pytest.raises(DataError, match="shard lost"):
        next(iter(started))
    assert list(StartedBatches(stream(lambda: iter(())))) == []
    wait_for_threads_to_end()


def test_started_batches_left_alone_leave_no_thread(split: PlannedSplit) -> None:
    started = StartedBatches(of_reader(split, threads=2))
    iterator = iter(started)
    assert next(iterator).number == 0
    del started, iterator
    wait_for_threads_to_end()


@pytest.mark.parametrize("wrong", ["of another worker", "skipped", "too short", "empty"])
def test_a_block_out_of_order_stops_the_run(split: PlannedSplit, wrong: str) -> None:
    tables = list(local_tables(split, 0, 48, 4, rank=0, workers=1))
    blocks = {
        "of another worker": tables[1:],
        "skipped": [tables[0], tables[2]],
        "too short": [tables[0], tables[1].slice(0, 3)],
        "empty": [tables[0], ROW_SCHEMA.empty_table()],
    }[wrong]
    with pytest.raises(TrainingError, match="out of order: expected positions"):
        list(stream(lambda: iter(blocks)))
    wait_for_threads_to_end()


def test_errors_reach_the_step_that_needs_the_batch(split: PlannedSplit) -> None:
    def tables() -> Iterator[pa.Table]:
        yield from local_tables(split, 0, 8, 4, rank=0, workers=1)
        raise DataError("shard lost")

    batches = iter(stream(tables, threads=2))
    assert [next(batches).number, next(batches).number] == [0, 1]
    with pytest.raises(DataError, match="shard lost"):
        next(batches)
    wait_for_threads_to_end()


def test_a_stream_left_early_leaves_no_thread(split: PlannedSplit) -> None:
    batches = iter(of_reader(split, threads=2))
    next(batches)
    assert our_threads()
    batches.close()
    wait_for_threads_to_end()


def test_the_workers_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [decode_threads(workers) for workers in (1, 3, 8, 20)] == [8, 2, 1, 1]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_batch_took_is_told_by_stage(split: PlannedSplit, threads: int) -> None:
    def tables() -> Iterator[pa.Table]:
        for table in local_tables(split, 0, 16, 4, rank=0, workers=1):
            time.sleep(0.02)
            yield table

    for micro in stream(tables, threads=threads):
        assert micro.seconds.keys() == {"read_wait", "decode", "collate"}
        assert micro.seconds["read_wait"] >= 0.02
        assert min(micro.seconds.values()) > 0
        # Of CPU time, so waiting counts as neither.
        assert micro.seconds["decode"] + micro.seconds["collate"] < 5


@pytest.mark.parametrize("inner", [None, ThreadPoolExecutor(2)])
def test_a_timed_executor_maps_in_order_and_counts_the_calls(inner: ThreadPoolExecutor | None) -> None:
    def burn(milliseconds: int) -> int:
        stop = time.thread_time() + milliseconds / 1000
        while time.thread_time() < stop:
            pass
        return milliseconds

    timed = TimedExecutor(inner)
    assert list(timed.map(burn, [10, 0, 20])) == [10, 0, 20]
    assert 0.03 <= timed.seconds < 1
