"""Single runs of ``performance/plan.py``: from a configuration to the first batch, as in a run's driver and worker."""

import os
import time
from functools import partial
from typing import Any

import psutil
import ray

from scaleout.cluster import connect
from scaleout.engine.device import peak_resident
from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import Inputs, open_tokenizer, task_context
from scaleout.stream.batches import BatchStream
from scaleout.workers.feed import WorkerFeed, start_feed
from scaleout.workers.preflight import check_run, cluster_resources

GROUP = "benchmark"
SEEN = ("driver", "ray::SegmentServer", "ray::SplitCoordinator")
"""The processes that hold manifests or parts of the plan."""


def run(config: RunConfig, start: int) -> dict[str, Any]:
    """Return seconds from a configuration to the first batch at position ``start``, and the peak memory of all processes with the plan."""
    with connect():
        started = time.perf_counter()
        inputs = Inputs.open(config)
        check_run(config, inputs, cluster_resources())
        server = start_feed(config)
        position = ray.get(ray.remote(num_cpus=0.5)(first_batch).remote(config, server, start))
        seconds = time.perf_counter() - started
        processes = {name: peak_resident(process.pid) for name, process in _processes().items()}
    if position != start:
        raise AssertionError(f"the first batch begins at {position}, not at {start}")
    return {"seconds": seconds, "processes": processes}


def first_batch(config: RunConfig, server: Any, start: int) -> int:
    """Make the first batch as a worker does; returns the position of its first sample."""
    size, bundle = config.train.micro_batch, Inputs.open(config).bundle  # opened for validation
    collate = config.task.collate(task_context(config, open_tokenizer(config.data), bundle, {}), augment=True)
    tables = partial(WorkerFeed(config, server, GROUP, 0, 1).tables, start)
    micro = next(iter(BatchStream(tables=tables, collate=collate, micro_batch=size, first=start // size, stride=1, ahead=1)))
    if len(micro.batch) != size or micro.batch.skipped:
        raise AssertionError(f"{len(micro.batch)} samples, {len(micro.batch.skipped)} of them skipped")
    return micro.number * size


def _processes() -> dict[str, psutil.Process]:
    driver = psutil.Process(os.getpid())
    found = {name: child for name in SEEN for child in driver.children(recursive=True) if child.name()[:15] == name[:15]}
    return {"driver": driver, **found}
