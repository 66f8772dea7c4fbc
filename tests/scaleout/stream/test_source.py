"""The stream through Ray Data: exactly the planned micro-batches, whatever the number of consumers."""

import threading
from pathlib import Path

import pytest

from scaleout.stream.rows import stream_rows
from tests.scaleout.stream.toy_stream import read_all, toy_reader


@pytest.mark.ray
def test_consumers_get_the_planned_micro_batches_in_turn(ray_cluster: None, tmp_path: Path) -> None:
    from scaleout.stream.source import dealt_in_turn, micro_batch_dataset, worker_tables

    reader, start, stop, micro_batch = toy_reader(tmp_path), 24, 24 + 60, 2
    planned = [stream_rows(read_all(reader, first, first + micro_batch)) for first in range(start, stop, micro_batch)]
    for consumers in (1, 2, 3):
        dataset = micro_batch_dataset(reader, start, stop, micro_batch)
        shards = dealt_in_turn().configure({"train": dataset}, consumers, None, None)
        found: list[list[list]] = [[] for _ in range(consumers)]

        def consume(rank: int, shards=shards, found=found) -> None:
            found[rank] = [stream_rows(table) for table in worker_tables(shards[rank]["train"], micro_batch, prefetch=1)]

        threads = [threading.Thread(target=consume, args=(rank,)) for rank in range(consumers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=120)
        assert found == [planned[rank::consumers] for rank in range(consumers)], f"{consumers} consumers"
