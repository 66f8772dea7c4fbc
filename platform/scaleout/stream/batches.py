"""The batches of a worker: decoded, tokenized, masked and collated ahead of the step."""

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from medvlp.data.batch import Batch
from medvlp.data.collate import Collate
from medvlp.data.sample import StreamRow
from medvlp.errors import TrainingError
from scaleout.compat.torch_internals import end_loader_processes
from scaleout.stream.rows import stream_rows

NumberedRows = tuple[int, list[StreamRow]]
"""Number of a micro-batch, and its rows."""
T = TypeVar("T")
_SMALL = 65_536
"""Bytes below which a tensor is cheaper to send than to share."""


@dataclass(frozen=True)
class MicroBatch:
    """A batch and its position in the stream."""

    number: int
    """Global number: positions [number * size, (number + 1) * size)."""
    batch: Batch
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds: "read_wait" is the wall-clock wait for its rows, "make" the CPU time to decode, tokenise, mask and collate them."""


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
    processes: int = 1
    """Number of processes that make batches; see ``made_ahead``."""
    ahead: int = 2
    """Number of prefetched batches."""

    def __iter__(self) -> Iterator[MicroBatch]:
        yield from made_ahead(self._numbered(), self.collate, processes=self.processes, ahead=self.ahead)

    def _numbered(self) -> Iterator[NumberedRows]:
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


def made_ahead(numbered: Iterator[NumberedRows], collate: Collate, *, processes: int, ahead: int) -> Iterator[MicroBatch]:
    """Yield the micro-batches of these rows, in order, made ahead of the caller.

    Args:
        numbered: number and rows of every micro-batch; read in a thread of this process.
        collate: makes a batch of rows. Picklable if there are several processes.
        processes: processes that decode and collate, each one micro-batch at a time; 1 does it in the thread that reads.
        ahead: micro-batches that wait for the caller, besides those that the processes hold.
    """
    producer = ThreadPoolExecutor(1, thread_name_prefix="batches")
    made, waiting = _made(numbered, collate, processes), deque[Future[MicroBatch | None]]()
    try:
        while True:
            while len(waiting) < ahead:
                waiting.append(producer.submit(next, made, None))
            micro = waiting.popleft().result()
            if micro is None:
                return
            yield micro
    finally:
        producer.shutdown(wait=False, cancel_futures=True)


def _made(numbered: Iterator[NumberedRows], collate: Collate, processes: int) -> Iterator[MicroBatch]:
    """Yield the micro-batches of these rows. A generator, so that processes start, and end, with the iteration."""
    settings: dict[str, Any] = {}
    if processes > 1:
        # A fork of this process would inherit threads and CUDA. The server imports once what all processes need.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["ray", collate.__module__, "transformers.tokenization_utils_tokenizers"])
        settings = {"num_workers": processes, "multiprocessing_context": context, "worker_init_fn": _end_with_parent}
    # The rows take the place of the indices that the loader sends to its processes.
    loader = DataLoader(_Maker(collate), sampler=_timed(numbered), batch_size=None, collate_fn=_packed, **settings)  # type: ignore[arg-type]
    batches = iter(loader)
    try:
        yield from map(_unpacked, batches)
    finally:
        end_loader_processes(batches)


@dataclass(frozen=True)
class _Maker(Dataset[MicroBatch]):
    """Makes micro-batches of rows, in the process that asks."""

    collate: Collate

    def __getitem__(self, read: tuple[NumberedRows, float]) -> MicroBatch:
        (number, rows), waited = read
        started = time.thread_time()
        batch = self.collate(rows)
        return MicroBatch(number, batch, {"read_wait": waited, "make": time.thread_time() - started})


def _end_with_parent(number: int) -> None:
    """Make this process end when the one that needs its batches is killed: torch only sees the end of the server that forked it."""
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def _timed(items: Iterator[T]) -> Iterator[tuple[T, float]]:
    """Yield every item with the seconds spent waiting for it."""
    while True:
        asked = time.perf_counter()
        try:
            item = next(items)
        except StopIteration:
            return
        yield item, time.perf_counter() - asked


def _packed(micro: MicroBatch) -> MicroBatch:
    """Return a micro-batch with its small tensors as arrays: each shared tensor costs a handshake of the processes, 0.5 ms."""
    small: dict[str, Any] = {
        name: value.numpy() for name, value in vars(micro.batch).items() if isinstance(value, Tensor) and value.nbytes < _SMALL
    }
    return replace(micro, batch=replace(micro.batch, **small))


def _unpacked(micro: MicroBatch) -> MicroBatch:
    small: dict[str, Any] = {name: torch.from_numpy(value) for name, value in vars(micro.batch).items() if isinstance(value, np.ndarray)}
    return replace(micro, batch=replace(micro.batch, **small))


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


def cores_of_worker(workers_on_node: int) -> int:
    """Return a worker's share of the cores of its machine."""
    return max(1, (os.cpu_count() or 1) // max(1, workers_on_node))
