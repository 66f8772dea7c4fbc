"""The stream without Ray: the same global micro-batches for any number of workers, and validation that counts each sample once."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pytest

from medvlp.data.batch import PretrainBatch
from scaleout.stream.local import NO_KEY, EvaluationBatches, local_tables
from scaleout.stream.rows import PlannedSplit, stream_rows
from tests.medvlp.tiny import collate
from tests.scaleout.stream.toy_stream import read_all, toy_split


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> PlannedSplit:
    """Reads the toy corpus."""
    return toy_split(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory) -> PlannedSplit:
    """Reads the 10 validation samples of the toy corpus."""
    return toy_split(tmp_path_factory.mktemp("toy"), split="validation")


@pytest.mark.parametrize("workers", [1, 2, 3, 4])
@pytest.mark.parametrize("start", [0, 24])
def test_micro_batch_k_goes_to_worker_k_modulo_n(split: PlannedSplit, workers: int, start: int) -> None:
    micro_batch, stop = 2, start + 48
    planned = read_all(split, start, stop)
    parts = [list(local_tables(split, start, stop, micro_batch, rank=rank, workers=workers)) for rank in range(workers)]
    for rank, tables in enumerate(parts):
        numbers = range(start // micro_batch + rank, stop // micro_batch, workers)
        assert len(tables) == len(numbers)
        for number, table in zip(numbers, tables, strict=True):
            assert stream_rows(table) == stream_rows(planned.slice(number * micro_batch - start, micro_batch))


@pytest.mark.parametrize("micro_batch", [1, 3, 7, 30])
def test_micro_batches_are_cut_without_regard_to_windows_and_epochs(split: PlannedSplit, micro_batch: int) -> None:
    stop = 2 * micro_batch * (60 // micro_batch // 2 + 1)
    tables = list(local_tables(split, 0, stop, micro_batch, rank=0, workers=1))
    assert {table.num_rows for table in tables} == {micro_batch}
    rows = [row for table in tables for row in stream_rows(table)]
    assert rows == stream_rows(read_all(split, 0, stop))


def validated(split: PlannedSplit, micro_batch: int, samples: int, workers: int) -> list[list[PretrainBatch]]:
    make = collate(augment=False)
    shares = [
        EvaluationBatches(split=split, collate=make, micro_batch=micro_batch, samples=samples, rank=rank, workers=workers)
        for rank in range(workers)
    ]
    return [[micro.batch for micro in share] for share in shares]  # type: ignore[misc]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize(("samples", "counted"), [(7, 7), (10, 10), (99, 10), (1, 1)])
def test_every_worker_validates_as_often_and_every_sample_counts_once(
    validation: PlannedSplit, workers: int, samples: int, counted: int
) -> None:
    parts = validated(validation, 2, samples, workers)
    assert len({len(batches) for batches in parts}) == 1
    batches = [batch for part in parts for batch in part]
    weighed = [key for batch in batches for key, weight in zip(batch.keys, batch.weight.tolist(), strict=True) if weight]
    assert len(weighed) == len(set(weighed)) == counted
    assert all(len(batch) == 2 for batch in batches)
    assert {key for batch in batches for key, weight in zip(batch.keys, batch.weight.tolist(), strict=True) if not weight} <= {NO_KEY}
    # Those that fill up are nobody's partner.
    assert all((batch.weight[batch.partner] > 0)[batch.weight > 0].all() for batch in batches)


def test_every_validation_is_the_same(validation: PlannedSplit) -> None:
    (first,), (second,) = validated(validation, 4, 10, 1), validated(validation, 4, 10, 1)
    for one, other in zip(first, second, strict=True):
        assert one.keys == other.keys
        for name in ("images", "masked_token_ids", "partner", "weight"):
            assert (getattr(one, name) == getattr(other, name)).all()


def test_workers_share_the_batches_of_one(validation: PlannedSplit) -> None:
    (alone,) = validated(validation, 2, 10, 1)
    shared = [batch for part in validated(validation, 2, 10, 2) for batch in part]
    assert [batch.keys for batch in shared][: len(alone)] == [batch.keys for batch in alone]


def test_all_workers_together_read_every_row_once(validation: PlannedSplit, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    tables = PlannedSplit.tables

    def counted(split: PlannedSplit, start: int, stop: int) -> Iterator[pa.Table]:
        for table in tables(split, start, stop):
            read.extend(table.column("position").to_pylist())
            yield table

    monkeypatch.setattr(PlannedSplit, "tables", counted)
    validated(validation, 2, 10, 5)
    assert sorted(read) == list(range(10))


def test_samples_are_the_first_of_a_shuffled_order(validation: PlannedSplit) -> None:
    keys = [int(key) for batch in validated(validation, 5, 5, 1)[0] for key in batch.keys]
    assert keys != sorted(keys)
    ordered = replace(validation, plan=replace(validation.plan, shuffle=False))
    assert [int(key) for batch in validated(ordered, 5, 5, 1)[0] for key in batch.keys] == list(range(25, 30))
