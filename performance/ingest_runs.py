"""Single runs of ``performance/ingest.py``: the stream under Ray, and its peer, each timed where its batches arrive."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import psutil
import ray
import torch

from medvlp.data.batch import Batch
from performance.ingest_peer import webdataset_batches
from performance.ingest_source import Source
from scaleout.cluster import connect
from scaleout.stream.batches import BatchStream
from scaleout.stream.source import start_segment_server, worker_tables

MARGIN = 2
"""Length of a run's stream as a multiple of the consumed part, so that the end of the stream is not timed."""
AHEAD = 3
"""Number of prefetched batches, the default of a run."""
GROUP = "benchmark"


def run_peer(source: Source, samples: int, warm_up: int, workers: int) -> dict[str, float]:
    """Run the peer in this process and its loader's workers, if any."""
    return time_run(lambda: webdataset_batches(source, workers), samples, warm_up, os.getpid())


def run_stream(source: Source, samples: int, warm_up: int) -> dict[str, float]:
    """Run the stream in a separate Ray instance: tasks read, an actor with half a CPU consumes like a training worker."""
    with connect(num_cpus=source.cores):
        server = start_segment_server(source.split, source.micro_batch)
        ray.get(server.begin.remote(GROUP, 0, MARGIN * (samples + warm_up), 1))
        worker: Any = ray.remote(num_cpus=0.5)(time_run)
        found: dict[str, float] = ray.get(worker.remote(partial(stream_batches, source, server), samples, warm_up, os.getpid()))
    return found


def stream_batches(source: Source, server: Any) -> Iterator[Batch]:
    """Yield batches of the stream as a training worker does."""
    stream = BatchStream(
        tables=lambda: worker_tables(server, GROUP, 0, source.micro_batch, prefetch=AHEAD),
        collate=source.collate(),
        micro_batch=source.micro_batch,
        first=0,
        stride=1,
        processes=source.cores,
        ahead=AHEAD,
    )
    return (micro.batch for micro in stream)


def share_cores(cores: int) -> None:
    """Pin this process and its children to the first cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def time_run(start: Callable[[], Iterator[Batch]], samples: int, warm_up: int, process: int) -> dict[str, float]:
    """Measure the time to the first batch, and samples per second after the warm-up.

    Args:
        start: starts the run and returns its batches.
        samples: number of timed samples.
        warm_up: number of untimed samples before.
        process: the first process of the run; its CPU time and that of its descendants is counted.
    """
    torch.set_num_threads(1)
    started = time.perf_counter()
    batches = start()
    next(batches)
    first = time.perf_counter()
    _take(batches, warm_up)
    warm, cpu = time.perf_counter(), _cpu_seconds(process)
    taken = _take(batches, samples)
    seconds, cpu = time.perf_counter() - warm, _cpu_seconds(process) - cpu
    return {"samples_per_second": taken / seconds, "cpu_seconds": cpu / taken, "start_seconds": first - started}


def _take(batches: Iterator[Batch], samples: int) -> int:
    """Take at least ``samples`` samples; return how many were taken."""
    taken = 0
    while taken < samples:
        taken += len(next(batches))
    return taken


def _cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and all its descendants, including ended ones."""
    root = psutil.Process(process)
    total = 0.0
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:4])
    return total
