"""The stream as Ray datasets: one task per window, rows in the order of the plan, split between the workers by micro-batch.

Ray keeps metadata of every block of a dataset until its execution ends. So a dataset covers only a segment of the stream, a bounded number
of windows, and the next one is created when the workers reach it: memory and start-up time do not depend on the number of shards or
samples.
"""

import pickle
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import ray.data
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from scaleout.compat.ray_internals import pause_between_steps
from scaleout.stream.plan import StreamPlan, WindowSlice
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, RowReader

BLOCK_ROWS = 256
"""Minimum number of rows of a block. Ray's overhead per block equals the cost of reading about fifty rows."""
READ_CPUS = 0.9
"""Logical CPUs of a read task: must differ from those of a split task, or Ray fuses the two and ends a round with every window."""
FIRST_WINDOWS, MOST_WINDOWS = 32, 512
"""Windows of a segment: the first segment is short to start quickly, and each has twice as many windows as the one before."""


@dataclass(frozen=True)
class Rounds:
    """Arranges rows so that equal blocks, split round robin, bring micro-batch k, counted from the first, to worker k modulo ``workers``.

    A round has one block per worker; within it the first worker's micro-batches come first.
    """

    micro_batch: int
    workers: int
    block_rows: int = BLOCK_ROWS

    @property
    def block(self) -> int:
        """Number of rows of a block: whole micro-batches of one worker."""
        return -(-self.block_rows // self.micro_batch) * self.micro_batch

    @property
    def round(self) -> int:
        """Number of rows of one block per worker."""
        return self.block * self.workers

    def __call__(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Yield one block per worker. An incomplete last round is padded with empty rows."""
        missing = self.round - rows.num_rows
        if missing:
            rows = pa.concat_tables([rows, pa.table([pa.nulls(missing, field.type) for field in ROW_SCHEMA], schema=ROW_SCHEMA)])
        for rank in range(self.workers):
            starts = range(rank * self.micro_batch, self.round, self.workers * self.micro_batch)
            yield pa.concat_tables([rows.slice(start, self.micro_batch) for start in starts])


def segments(plan: StreamPlan, start: int, stop: int, rounds: Rounds) -> Iterator[list[WindowSlice]]:
    """Yield the positions [start, stop), a multiple of a micro-batch per worker, in segments of whole rounds; the last may end early."""
    windows = FIRST_WINDOWS
    while start < stop:
        found = list(islice(plan.slices(start, stop), windows))
        end = found[-1].start + found[-1].rows
        if end < stop:
            end = start + max((end - start) // rounds.round, 1) * rounds.round
            found = list(plan.slices(start, min(end, stop)))
        yield found
        start, windows = found[-1].start + found[-1].rows, min(2 * windows, MOST_WINDOWS)


def segment_dataset(reader: RowReader, windows: list[WindowSlice], rounds: Rounds) -> ray.data.Dataset:
    """Create a dataset of the rows of a segment with the columns of ``ROW_SCHEMA``, in the order and blocks of ``rounds``."""
    # Each window is sent by itself: a task receives only its own.
    plans = ray.data.from_blocks([pa.table({"window": [pickle.dumps(window)]}) for window in windows])

    def read(batch: dict[str, np.ndarray]) -> Iterator[pa.Table]:
        for window in batch["window"]:
            yield reader.read(pickle.loads(window))

    rows = plans.map_batches(read, batch_size=None, zero_copy_batch=True, num_cpus=READ_CPUS)
    # Ray runs both calls as one task, which gets whole rounds, because a batch is a multiple of a block.
    arranged = rows.map_batches(rounds.__call__, batch_size=rounds.round, batch_format="pyarrow", zero_copy_batch=True)
    blocks = arranged.repartition(target_num_rows_per_block=rounds.block, strict=True)
    # Equal blocks in a preserved order are split round robin: Ray's splitter serves the worker with the fewest rows. That is its
    # implementation, not a documented guarantee: ``BatchStream`` checks it for every micro-batch.
    blocks.context.execution_options.preserve_order = True
    pause_between_steps(blocks.context)
    # Ray executes the dataset in other processes, which do not see the driver's setting.
    blocks.context.enable_progress_bars = False
    return blocks


class SegmentServer:
    """Serves the segments of a stream to one worker group after the other. A single actor on the driver's machine."""

    def __init__(self, opened: Callable[[], PlannedSplit], micro_batch: int, block_rows: int = BLOCK_ROWS):
        """``opened`` reads the manifests in this actor, so that they need not be sent."""
        self._split = opened()
        self._micro_batch, self._block_rows = micro_batch, block_rows
        self._group = ""
        self._segments: Iterator[list[ray.data.DataIterator]] = iter(())
        self._shards: list[list[ray.data.DataIterator]] = []

    def begin(self, group: str, start: int, stop: int, workers: int) -> None:
        """Split the positions from ``start`` to at least ``stop`` between a new group of workers; called by each of them."""
        if group == self._group:
            return
        rounds = Rounds(self._micro_batch, workers, self._block_rows)
        # All workers get the same number of micro-batches: one without any could not take part in the last step.
        step = self._micro_batch * workers
        stop = start + -(-(stop - start) // step) * step
        self._group, self._shards = group, []
        self._segments = (self._split_segment(windows, rounds) for windows in segments(self._split.plan, start, stop, rounds))

    def shard(self, group: str, number: int, rank: int) -> ray.data.DataIterator | None:
        """Return a worker's share of segment ``number``; None after the last, and for workers of an earlier group."""
        if group != self._group:
            return None
        # One ahead: the process that splits it takes a second or two to start.
        while len(self._shards) < number + 2 and (following := next(self._segments, None)):
            self._shards.append(following)
        for done in self._shards[: max(number - 1, 0)]:
            done.clear()  # all workers have finished it: the process that split it ends
        return self._shards[number][rank] if number < len(self._shards) else None

    def _split_segment(self, windows: list[WindowSlice], rounds: Rounds) -> list[ray.data.DataIterator]:
        return segment_dataset(self._split.reader, windows, rounds).streaming_split(rounds.workers, equal=True)


def start_segment_server(opened: Callable[[], PlannedSplit], micro_batch: int, block_rows: int = BLOCK_ROWS) -> Any:
    """Start a ``SegmentServer`` as an actor on this node."""
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(SegmentServer).options(num_cpus=0, scheduling_strategy=here).remote(opened, micro_batch, block_rows)


def worker_tables(server: Any, group: str, rank: int, micro_batch: int, prefetch: int) -> Iterator[pa.Table]:
    """Yield a worker's micro-batches as Arrow tables with the columns of ``ROW_SCHEMA``, after ``SegmentServer.begin``."""
    for number in count():
        shard = ray.get(server.shard.remote(group, number, rank))
        if shard is None:
            return
        tables: Iterator[Any] = iter(shard.iter_batches(batch_size=micro_batch, batch_format="pyarrow", prefetch_batches=prefetch))
        for table in tables:
            if table.column("position").null_count == 0:  # otherwise it is padding of the last round
                yield table
