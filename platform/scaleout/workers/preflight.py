"""Checks before any worker is reserved: seconds now instead of a hang later. Every error says what to change."""

from typing import Any

import ray

from medvlp.errors import ConfigurationError
from scaleout.io import storage
from scaleout.io.record_table import RecordTable
from scaleout.io.sidecar import check_size
from scaleout.runs.config import RunConfig, ScaleConfig
from scaleout.runs.inputs import Inputs

DATA_CPUS = 1.0
"""Minimum number of logical CPUs for Ray Data: with none it waits forever."""
CHECKED_FILES = 64
"""Number of files of a folder whose size is compared with the manifest before training; the readers check all files."""


def check_run(config: RunConfig, inputs: Inputs, resources: dict[str, float]) -> bool:
    """Check that the run can work; return whether workers get GPUs.

    Args:
        config: the run.
        inputs: the inputs of the run.
        resources: resources of the whole cluster, from ``ray.cluster_resources()``.

    Raises:
        ConfigurationError: resources or permissions are insufficient.
        DataError: a shard, a file of links or a split is missing.
    """
    use_gpu = check_resources(config.scale, resources)
    storage.check_writable(config.storage)
    inputs.shards.places_of("validation")
    for corpus in inputs.corpora:
        corpus.shards.places_of("train")
        check_files(corpus.folders.shards, corpus.shards.shards, "shard", "jobs/prepare.py")
        check_files(corpus.folders.links, corpus.links.files, "file of links", "jobs/link.py")
    return use_gpu


def check_resources(scale: ScaleConfig, resources: dict[str, float]) -> bool:
    """Check that CPUs and GPUs suffice for the minimum of workers and for Ray Data; return whether workers get GPUs.

    Raises:
        ConfigurationError: they do not suffice.
    """
    cpus, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    use_gpu = gpus > 0 if scale.use_gpu is None else scale.use_gpu
    if scale.autoscaling:
        return use_gpu
    workers = scale.fewest_workers
    option = "scale.workers" if scale.minimum_workers is None else "scale.minimum_workers"
    left = cpus - workers * scale.cpus_per_worker
    if left < DATA_CPUS:
        fitting = int((cpus - DATA_CPUS) / scale.cpus_per_worker) if scale.cpus_per_worker else 0
        raise ConfigurationError(
            f"{workers} workers of {scale.cpus_per_worker:g} CPUs leave {max(left, 0):g} of the cluster's {cpus:g} CPUs to Ray Data, "
            f"which needs at least {DATA_CPUS:g}, or training waits forever: set {option} to at most {max(fitting, 0)}, "
            "lower scale.cpus_per_worker, or add nodes"
        )
    if use_gpu and gpus < workers:
        raise ConfigurationError(f"{workers} workers need one GPU each, the cluster has {gpus:g}: lower {option} or add nodes")
    return use_gpu


def check_files(folder: str, records: RecordTable[Any], what: str, maker: str) -> None:
    """Compare the sizes of some files, evenly spaced, with their records in a manifest.

    Raises:
        DataError: one is missing or of another size.
    """
    every = max(1, len(records) // CHECKED_FILES)
    for record in records[::every]:
        uri = storage.join(folder, record.name)
        check_size(uri, what, storage.file_size(uri), record.bytes, f"make it again with {maker}")


def cluster_resources() -> dict[str, Any]:
    """Return the resources of the connected cluster."""
    return ray.cluster_resources()
