"""The stream as a Ray dataset: one task per window, blocks of exactly one micro-batch, in the order of the plan."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray.data
from ray.train import DataConfig

from scaleout.stream.rows import RowReader


def micro_batch_dataset(reader: RowReader, start: int, stop: int, micro_batch: int) -> ray.data.Dataset:
    """The positions [start, stop) in blocks of ``micro_batch`` rows.

    The splitter serves the consumer with the fewest rows, so equal blocks in a preserved order are dealt in turn.
    That is Ray's implementation, not its promise: ``BatchStream`` checks it for every block.
    """
    windows = list(reader.plan.slices(start, stop))

    def read_window(batch: dict[str, Any]) -> Iterator[pa.Table]:
        for index in batch["id"]:
            yield from reader.read(windows[int(index)])

    indices = ray.data.range(len(windows), override_num_blocks=len(windows))
    rows = indices.map_batches(read_window, batch_size=None, zero_copy_batch=True)
    blocks = rows.repartition(target_num_rows_per_block=micro_batch, strict=True)
    # The dataset is made and executed in processes of Ray, where the driver's own setting does not reach.
    blocks.context.enable_progress_bars = False
    return blocks


def dealt_in_turn() -> DataConfig:
    """Ray Train's execution of the dataset: blocks keep the plan's order; locality may not change who gets which."""
    return DataConfig(execution_options=ray.data.ExecutionOptions(preserve_order=True), enable_shard_locality=False)


def worker_tables(shard: ray.data.DataIterator, micro_batch: int, prefetch: int) -> Iterator[pa.Table]:
    """One worker's micro-batches as Arrow tables with the columns of ``ROW_SCHEMA``."""
    yield from shard.iter_batches(batch_size=micro_batch, batch_format="pyarrow", prefetch_batches=prefetch)
