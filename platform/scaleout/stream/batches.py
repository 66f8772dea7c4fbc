"""The batches of a worker: decoded, tokenized, masked and collated in threads, ahead of the step."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from medvlp.data.batch import Batch
from medvlp.data.collate import Collate
from medvlp.data.sample import StreamRow
from medvlp.errors import TrainingError
from scaleout.stream.rows import stream_rows

T = TypeVar("T")


@dataclass(frozen=True)
class MicroBatch:
    """A batch and its position in the stream."""

    number: int
    """Global number: positions [number * size, (number + 1) * size)."""
    batch: Batch
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds to make it: "read_wait" is the wall-clock wait for its rows, "decode" and "collate" are CPU time."""


class MicroBatches(Protocol):
    """The micro-batches of a worker, in order."""

    @property
    def first(self) -> int:
        """Number of the first micro-batch."""
        ...

    def __iter__(self) -> Iterator[MicroBatch]:
        """Iterate from the first micro-batch on."""
        ...


@dataclass(frozen=True, kw_only=True)
class RepeatedBatch:
    """Repeats the same batch forever: shows the speed of a run without reading, decoding and tokenizing."""

    batch: Batch
    first: int
    stride: int

    def __iter__(self) -> Iterator[MicroBatch]:
        return (MicroBatch(number, self.batch) for number in count(self.first, self.stride))


@dataclass(frozen=True, kw_only=True)
class BatchStream:
    """The micro-batches ``first``, ``first + stride``, … of the stream; every iteration starts again."""

    tables: Callable[[], Iterator[pa.Table]]
    collate: Collate
    micro_batch: int
    first: int
    stride: int
    threads: int = 2
    ahead: int = 2
    """Number of prefetched batches."""

    def __iter__(self) -> Iterator[MicroBatch]:
        yield from ahead_of(BatchMaker(self._numbered(), self.collate, self.threads), self.ahead)

    def _numbered(self) -> Iterator[tuple[int, list[StreamRow]]]:
        """Yield number and rows of every micro-batch after checking the positions."""
        for number, table in zip(count(self.first, self.stride), self.tables(), strict=False):
            rows = stream_rows(table)
            expected = range(number * self.micro_batch, (number + 1) * self.micro_batch)
            found = [row.position for row in rows]
            if found != list(expected):
                raise TrainingError(
                    f"the stream is out of order: expected positions {expected.start} to {expected.stop - 1}, got {found}; "
                    "this is a defect: keep the run's folder and report it"
                )
            yield number, rows


class BatchMaker:
    """Makes micro-batches from rows, one after the other, with decoding threads."""

    def __init__(self, numbered: Iterator[tuple[int, list[StreamRow]]], collate: Collate, threads: int) -> None:
        """``numbered`` yields the number and the rows of every micro-batch."""
        self._numbered, self._collate = numbered, collate
        self._decoders = ThreadPoolExecutor(threads, thread_name_prefix="decode") if threads > 1 else None

    def next(self) -> MicroBatch | None:
        """Return the next micro-batch; None after the last."""
        asked = time.perf_counter()
        number, rows = next(self._numbered, (0, []))
        waited, started = time.perf_counter() - asked, time.thread_time()
        if not rows:
            return None
        timed = TimedExecutor(self._decoders)
        batch = self._collate(rows, timed)
        spent = time.thread_time() - started - (timed.seconds if self._decoders is None else 0.0)
        return MicroBatch(number, batch, {"read_wait": waited, "decode": timed.seconds, "collate": spent})

    def close(self) -> None:
        """Stop the threads."""
        if self._decoders is not None:
            self._decoders.shutdown(wait=False, cancel_futures=True)


def ahead_of(maker: BatchMaker, ahead: int) -> Iterator[MicroBatch]:
    """Yield all micro-batches of ``maker``; prefetch ``ahead`` of them."""
    producer = ThreadPoolExecutor(1, thread_name_prefix="batches")
    waiting: deque[Future[MicroBatch | None]] = deque()
    try:
        while True:
            while len(waiting) < ahead:
                waiting.append(producer.submit(maker.next))
            micro = waiting.popleft().result()
            if micro is None:
                return
            yield micro
    finally:
        producer.shutdown(wait=False, cancel_futures=True)
        maker.close()


class StartedBatches:
    """The micro-batches of a stream, with prefetching already started."""

    def __init__(self, stream: MicroBatches) -> None:
        self.first = stream.first
        self._rest = iter(stream)
        executor = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._next = executor.submit(next, self._rest, None)
        executor.shutdown(wait=False)

    def __iter__(self) -> Iterator[MicroBatch]:
        """Iterate over all micro-batches; only once."""
        micro = self._next.result()
        if micro is not None:
            yield micro
            yield from self._rest


class TimedExecutor(Executor):
    """Runs calls on an executor, or directly if there is none, and sums the CPU time of their threads."""

    def __init__(self, executor: Executor | None) -> None:
        self._executor = executor
        self.seconds = 0.0

    def map(self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1) -> Iterator[T]:
        """See ``Executor.map``."""

        def timed(*arguments: Any) -> tuple[T, float]:
            started = time.thread_time()
            return fn(*arguments), time.thread_time() - started

        inner = self._executor
        results = map(timed, *iterables) if inner is None else inner.map(timed, *iterables, timeout=timeout, chunksize=chunksize)
        for result, seconds in results:
            self.seconds += seconds
            yield result


def decode_threads(workers_on_node: int) -> int:
    """Return the number of decoding threads, so that the workers of a machine share its cores."""
    return max(1, (os.cpu_count() or 1) // max(1, workers_on_node))
