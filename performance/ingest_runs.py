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
"""A run's stream is so many times longer than what is taken of it, so that it is not timed while it drains."""
AHEAD = 3
"""Batches that are kept ready, as by default in a run."""
GROUP = "benchmark"


def run_peer(source: Source, samples: int, warm_up: int, workers: int) -> dict[str, float]:
    """A run of the peer in this process and, if there are any, its loader's workers."""
    return time_run(lambda: webdataset_batches(source, workers), samples, warm_up, os.getpid())


def run_stream(source: Source, samples: int, warm_up: int) -> dict[str, float]:
    """A run of the stream in a Ray of its own: tasks read, an actor with half a CPU consumes as a training worker does."""
    with connect(num_cpus=source.cores):
        server = start_segment_server(source.split, source.micro_batch)
        ray.get(server.begin.remote(GROUP, 0, MARGIN * (samples + warm_up), 1))
        worker: Any = ray.remote(num_cpus=0.5)(time_run)
        found: dict[str, float] = ray.get(worker.remote(partial(stream_batches, source, server), samples, warm_up, os.getpid()))
    return found


def stream_batches(source: Source, server: Any) -> Iterator[Batch]:
    """Batches of the stream as a training worker makes them."""
    stream = BatchStream(
        tables=lambda: worker_tables(server, GROUP, 0, source.micro_batch, prefetch=AHEAD),
        collate=source.collate(),
        micro_batch=source.micro_batch,
        first=0,
        stride=1,
        threads=source.cores,
        ahead=AHEAD,
    )
    return (micro.batch for micro in stream)


def share_cores(cores: int) -> None:
    """Keep this process and all that it starts on the first cores."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def time_run(start: Callable[[], Iterator[Batch]], samples: int, warm_up: int, process: int) -> dict[str, float]:
    """Time to the first batch, and samples a second after the warm-up.

    Args:
        start: begins the run and gives its batches.
        samples: how many are timed.
        warm_up: how many before are not.
        process: where the run began; CPU time is counted for it and all below it.
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
    """Take at least so many samples; returns how many they were."""
    taken = 0
    while taken < samples:
        taken += len(next(batches))
    return taken


def _cpu_seconds(process: int) -> float:
    """Of a process and all below it, also those that have ended."""
    root = psutil.Process(process)
    total = 0.0
    for one in (root, *root.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += sum(one.cpu_times()[:4])
    return total
