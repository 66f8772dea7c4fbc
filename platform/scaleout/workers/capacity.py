"""The number of workers of a run: the requested number, or the capacity of the cluster with Ray Data."""

from collections.abc import Iterable, Mapping

from scaleout.runs.config import ScaleConfig
from scaleout.workers.preflight import DATA_CPUS

Resources = Mapping[str, float]
"""Resources of a node by Ray's names: CPU, GPU."""


def capacity_for(scale: ScaleConfig, nodes: Iterable[Resources], *, use_gpu: bool) -> int:
    """Return how many workers fit on these nodes with ``DATA_CPUS`` left for Ray Data. May exceed the requested number."""
    nodes = list(nodes)
    by_node = sum(_on_node(scale, node, use_gpu) for node in nodes)
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    beside_data = (cpus - DATA_CPUS) // scale.cpus_per_worker if scale.cpus_per_worker else by_node
    return max(0, int(min(by_node, beside_data)))


def workers_for(scale: ScaleConfig, capacity: int) -> int:
    """Return the number of workers to start. If even the minimum does not fit, start the minimum: Ray waits for the nodes."""
    return min(scale.workers, max(capacity, scale.fewest_workers))


def _on_node(scale: ScaleConfig, node: Resources, use_gpu: bool) -> int:
    by_gpu = node.get("GPU", 0.0) if use_gpu else float(scale.workers)
    by_cpu = node.get("CPU", 0.0) // scale.cpus_per_worker if scale.cpus_per_worker else by_gpu
    return int(min(by_gpu, by_cpu))
