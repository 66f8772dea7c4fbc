"""A worker's batches: decoded, tokenized, masked and collated in threads, ahead of the step."""

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from medvlp.data.batch import Batch
from medvlp.data.sample import StreamRow
from medvlp.errors import TrainingError
from scaleout.stream.rows import stream_rows


class Collate(Protocol):
    """Rows to a batch, with an executor for what can be done in parallel."""

    def __call__(self, rows: list[StreamRow], executor: Executor | None = None) -> Batch:
        """The batch."""
        ...


@dataclass(frozen=True)
class MicroBatch:
    """A batch and its place in the stream."""

    number: int
    """Global number: positions [number * size, (number + 1) * size)."""
    batch: Batch


@dataclass(frozen=True, kw_only=True)
class BatchStream:
    """The micro-batches ``first``, ``first + stride``, … of the stream; every iteration starts anew."""

    tables: Callable[[], Iterator[pa.Table]]
    collate: Collate
    micro_batch: int
    first: int
    stride: int
    threads: int = 2
    ahead: int = 2
    """Batches that are kept ready."""

    def __iter__(self) -> Iterator[MicroBatch]:
        tables = self.tables()
        producer = ThreadPoolExecutor(1, thread_name_prefix="batches")
        decoders = ThreadPoolExecutor(self.threads, thread_name_prefix="decode") if self.threads > 1 else None
        waiting: deque[Future[Batch | None]] = deque()
        number = self.first
        try:
            while True:
                while len(waiting) < self.ahead:
                    waiting.append(producer.submit(self._next, tables, number + len(waiting) * self.stride, decoders))
                batch = waiting.popleft().result()
                if batch is None:
                    return
                yield MicroBatch(number, batch)
                number += self.stride
        finally:
            for executor in (producer, decoders):
                if executor is not None:
                    executor.shutdown(wait=False, cancel_futures=True)

    def _next(self, tables: Iterator[pa.Table], number: int, decoders: Executor | None) -> Batch | None:
        table = next(tables, None)
        if table is None:
            return None
        rows = stream_rows(table)
        expected = range(number * self.micro_batch, (number + 1) * self.micro_batch)
        found = [row.position for row in rows]
        if found != list(expected):
            raise TrainingError(
                f"the stream is out of order: expected positions {expected.start} to {expected.stop - 1}, got {found}; "
                "this is a defect: keep the run's folder and report it"
            )
        return self.collate(rows, decoders)


def decode_threads(workers_on_node: int) -> int:
    """Threads for decoding so that the workers of a machine share its cores."""
    return max(1, (os.cpu_count() or 1) // max(1, workers_on_node))
