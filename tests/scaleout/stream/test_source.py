"""The stream through Ray Data: exactly the planned micro-batches, whatever the number of consumers."""

import threading
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaleout.stream.rows import ROW_SCHEMA, stream_rows
from scaleout.stream.source import BLOCK_ROWS, Deal, DealtInTurn, planned_rows, worker_tables
from tests.scaleout.stream.toy_stream import read_all, toy_reader


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
def test_every_round_deals_whole_micro_batches_in_turn(micro_batch: int, workers: int, block_rows: int, first: int, turns: int) -> None:
    deal = Deal(micro_batch, workers, block_rows)
    assert deal.block % micro_batch == 0
    assert deal.block >= block_rows
    rows = numbered(range(first * micro_batch, (first + turns * workers) * micro_batch))
    found: list[list[int]] = [[] for _ in range(workers)]
    for start in range(0, rows.num_rows, deal.round):
        blocks = list(deal(rows.slice(start, deal.round)))
        assert [block.num_rows for block in blocks] == [deal.block] * workers
        for rank, block in enumerate(blocks):
            found[rank] += block.column("position").drop_null().to_pylist()
            assert block.schema.equals(ROW_SCHEMA)
    for rank in range(workers):
        numbers = range(first + rank, first + turns * workers, workers)
        assert found[rank] == [number * micro_batch + offset for number in numbers for offset in range(micro_batch)]


def test_blocks_are_large_however_small_micro_batches_are() -> None:
    assert [Deal(micro_batch, 2).block for micro_batch in (1, 16, 100, 300)] == [BLOCK_ROWS, BLOCK_ROWS, 300, 300]


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
# Rounds that end with the stream, that are filled up, and that one round is too many for.
@pytest.mark.parametrize("block_rows", [2, 6, 64])
def test_consumers_get_the_planned_micro_batches_in_turn(tmp_path: Path, block_rows: int) -> None:
    reader, start, stop, micro_batch = toy_reader(tmp_path), 24, 24 + 60, 2
    planned = [stream_rows(read_all(reader, first, first + micro_batch)) for first in range(start, stop, micro_batch)]
    for consumers in (1, 2, 3):
        dataset = planned_rows(reader, start, stop)
        shards = DealtInTurn(micro_batch, block_rows).configure({"train": dataset}, consumers, None, None)
        found: list[list[list]] = [[] for _ in range(consumers)]

        def consume(rank: int, shards=shards, found=found) -> None:
            found[rank] = [stream_rows(table) for table in worker_tables(shards[rank]["train"], micro_batch, prefetch=1)]

        threads = [threading.Thread(target=consume, args=(rank,)) for rank in range(consumers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert found == [planned[rank::consumers] for rank in range(consumers)], f"{consumers} consumers"
