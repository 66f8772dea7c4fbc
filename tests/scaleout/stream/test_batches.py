"""A worker's batches: in order, ahead of the step, errors and all, with no thread and no process left behind."""

import multiprocessing
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pyarrow as pa
import pytest
import torch

from medvlp.data.batch import Batch
from medvlp.data.sample import StreamRow
from medvlp.errors import DataError, TrainingError
from scaleout.stream.batches import BatchStream, StartedBatches, cores_of_worker
from scaleout.stream.local import local_tables
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, stream_rows
from tests.conftest import REPOSITORY
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


def working() -> list[str]:
    """Our threads and processes, apart from the two that multiprocessing starts once and keeps."""
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]
    return threads + [str(process) for process in multiprocessing.active_children()]


def wait_for_the_end(seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while working() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert working() == []


@pytest.mark.parametrize(("processes", "ahead"), [(1, 4), (2, 1), (2, 4)])
def test_processes_and_look_ahead_change_nothing(split: PlannedSplit, processes: int, ahead: int) -> None:
    expected = list(of_reader(split, processes=1, ahead=1))
    found = list(of_reader(split, processes=processes, ahead=ahead))
    assert [micro.number for micro in found] == list(range(12))
    for one, other in zip(found, expected, strict=True):
        assert one.batch.keys == other.batch.keys
        assert vars(one.batch).keys() == vars(other.batch).keys()
        for name, value in vars(one.batch).items():
            expected_value = getattr(other.batch, name)
            assert torch.equal(value, expected_value) if isinstance(value, torch.Tensor) else value == expected_value, name
    wait_for_the_end()


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
    wait_for_the_end()


def test_started_batches_tell_an_error_to_whoever_iterates(split: PlannedSplit) -> None:
    def tables() -> Iterator[pa.Table]:
        raise DataError("shard lost")
        yield

    started = StartedBatches(stream(tables))
    with pytest.raises(DataError, match="shard lost"):
        next(iter(started))
    assert list(StartedBatches(stream(lambda: iter(())))) == []
    wait_for_the_end()


def test_started_batches_left_alone_leave_no_thread(split: PlannedSplit) -> None:
    started = StartedBatches(of_reader(split, processes=2))
    iterator = iter(started)
    assert next(iterator).number == 0
    del started, iterator
    wait_for_the_end()


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
    wait_for_the_end()


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_of_the_source_reaches_the_caller(split: PlannedSplit, processes: int) -> None:
    def tables() -> Iterator[pa.Table]:
        yield from local_tables(split, 0, 40, 4, rank=0, workers=1)
        raise DataError("shard lost")

    batches = iter(stream(tables, processes=processes))
    assert [next(batches).number, next(batches).number] == [0, 1]
    with pytest.raises(DataError, match="shard lost"):
        list(batches)
    wait_for_the_end()


def spoilt(rows: list[StreamRow]) -> Batch:
    raise DataError(f"no batch from {rows[0].key}")


def test_an_error_in_a_process_reaches_the_caller(split: PlannedSplit) -> None:
    with pytest.raises(DataError, match="no batch from"):
        list(replace(of_reader(split, processes=2), collate=spoilt))
    wait_for_the_end()


@pytest.mark.slow
def test_processes_end_with_the_one_that_started_them(split: PlannedSplit, tmp_path: Path) -> None:
    script = """
import multiprocessing, pickle, sys, time
from scaleout.stream.batches import made_ahead
from tests.medvlp.tiny import collate
if __name__ == "__main__":
    batches = made_ahead(pickle.load(open(sys.argv[1], "rb")), collate(), processes=2, ahead=1)
    next(batches)
    print(*(process.pid for process in multiprocessing.active_children()), flush=True)
    time.sleep(60)
"""
    (tmp_path / "script.py").write_text(script)
    rows = [(number, stream_rows(table)) for number, table in enumerate(local_tables(split, 0, 48, 4))]
    (tmp_path / "rows.pickle").write_bytes(pickle.dumps(iter(rows)))
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "rows.pickle")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=REPOSITORY, text=True) as process:
        assert process.stdout is not None
        started = [int(pid) for pid in process.stdout.readline().split()]
        process.kill()
    assert len(started) == 2
    deadline = time.monotonic() + 20
    while alive := [pid for pid in started if psutil.pid_exists(pid)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_stream_left_early_leaves_nothing_behind(split: PlannedSplit, processes: int) -> None:
    batches = iter(of_reader(split, processes=processes))
    next(batches)
    assert working()
    batches.close()
    wait_for_the_end()


def test_the_workers_of_a_machine_share_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert [cores_of_worker(workers) for workers in (1, 3, 8, 20)] == [8, 2, 1, 1]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_batch_took_is_told_by_stage(split: PlannedSplit, processes: int) -> None:
    def tables() -> Iterator[pa.Table]:
        for table in local_tables(split, 0, 16, 4, rank=0, workers=1):
            time.sleep(0.02)
            yield table

    for micro in stream(tables, processes=processes):
        assert micro.seconds.keys() == {"read_wait", "make"}
        assert micro.seconds["read_wait"] >= 0.02
        assert 0 < micro.seconds["make"] < 5  # of CPU time: waiting does not count
