"""The stream as a Ray dataset: one task per window, rows in the order of the plan, dealt to the workers by micro-batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray.data
from ray.train import DataConfig

from scaleout.stream.rows import ROW_SCHEMA, RowReader

BLOCK_ROWS = 256
"""Rows of a block at least. Ray's work for a block costs as much as reading some fifty rows, however few are in it."""
READ_CPUS = 0.9
"""Logical CPUs of a task that reads: other than those of one that deals, or Ray would fuse the two and end a round with every window."""


def planned_rows(reader: RowReader, start: int, stop: int) -> ray.data.Dataset:
    """The positions [start, stop) as rows with the columns of ``ROW_SCHEMA``."""
    windows = list(reader.plan.slices(start, stop))

    def read_window(batch: dict[str, Any]) -> Iterator[pa.Table]:
        for index in batch["id"]:
            yield reader.read(windows[int(index)])

    indices = ray.data.from_blocks([pa.table({"id": [index]}) for index in range(len(windows))])
    rows = indices.map_batches(read_window, batch_size=None, zero_copy_batch=True, num_cpus=READ_CPUS)
    # The dataset is made and executed in processes of Ray, where the driver's own setting does not reach.
    rows.context.enable_progress_bars = False
    return rows


@dataclass(frozen=True)
class Deal:
    """Arranges rows so that equal blocks, dealt in turn, bring micro-batch k to worker k modulo ``workers``.

    A round is as many rows as one block for each worker; within it the first worker's micro-batches come first.
    """

    micro_batch: int
    workers: int
    block_rows: int = BLOCK_ROWS

    @property
    def block(self) -> int:
        """Rows of a block: whole micro-batches of one worker."""
        return -(-self.block_rows // self.micro_batch) * self.micro_batch

    @property
    def round(self) -> int:
        """Rows of a block for each worker."""
        return self.block * self.workers

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """One block for each worker. A last round that is not full is filled up with empty rows."""
        missing = self.round - rows.num_rows
        if missing:
            rows = pa.concat_tables([rows, pa.table([pa.nulls(missing, field.type) for field in ROW_SCHEMA], schema=ROW_SCHEMA)])
        for rank in range(self.workers):
            starts = range(rank * self.micro_batch, self.round, self.workers * self.micro_batch)
            yield pa.concat_tables([rows.slice(start, self.micro_batch) for start in starts])


class DealtInTurn(DataConfig):
    """Ray Train's execution of ``planned_rows``: micro-batch k goes to worker k modulo their number, whatever that is.

    The splitter serves the worker with the fewest rows, so equal blocks in a preserved order are dealt in turn.
    That is Ray's implementation, not its promise: ``BatchStream`` checks it for every micro-batch.
    """

    def __init__(self, micro_batch: int, block_rows: int = BLOCK_ROWS) -> None:
        super().__init__(execution_options=ray.data.ExecutionOptions(preserve_order=True), enable_shard_locality=False)
        self._micro_batch = micro_batch
        self._block_rows = block_rows

    def configure(self, datasets: dict[str, ray.data.Dataset], world_size: int, *args: Any, **options: Any) -> list[dict[str, Any]]:
        """See ``DataConfig``."""
        deal = Deal(self._micro_batch, world_size, self._block_rows)
        return super().configure({name: _dealt(dataset, deal) for name, dataset in datasets.items()}, world_size, *args, **options)


def _dealt(rows: ray.data.Dataset, deal: Deal) -> ray.data.Dataset:
    """Blocks of ``deal``. Ray runs both calls as one task, which gets whole rounds, because a batch is a multiple of a block."""
    blocks = rows.map_batches(deal.__call__, batch_size=deal.round, batch_format="pyarrow", zero_copy_batch=True)
    return blocks.repartition(target_num_rows_per_block=deal.block, strict=True)


def worker_tables(shard: ray.data.DataIterator, micro_batch: int, prefetch: int) -> Iterator[pa.Table]:
    """One worker's micro-batches as Arrow tables with the columns of ``ROW_SCHEMA``."""
    tables: Iterator[Any] = iter(shard.iter_batches(batch_size=micro_batch, batch_format="pyarrow", prefetch_batches=prefetch))
    for table in tables:
        if table.column("position").null_count:
            return  # The rest fills up the last round.
        yield table
