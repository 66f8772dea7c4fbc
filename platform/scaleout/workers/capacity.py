"""How many workers a run gets: what it asks for, or as many as the cluster has room for, its data beside them."""

from collections.abc import Iterable, Mapping

from scaleout.runs.config import ScaleConfig
from scaleout.workers.preflight import DATA_CPUS

Resources = Mapping[str, float]
"""What a node has, as Ray names it: CPU, GPU."""


def capacity_for(scale: ScaleConfig, nodes: Iterable[Resources], *, use_gpu: bool) -> int:
    """Workers for which these nodes have room; Ray Data keeps ``DATA_CPUS`` somewhere. May be more than are asked for."""
    nodes = list(nodes)
    by_node = sum(_on_node(scale, node, use_gpu) for node in nodes)
    cpus = sum(node.get("CPU", 0.0) for node in nodes)
    beside_data = (cpus - DATA_CPUS) // scale.cpus_per_worker if scale.cpus_per_worker else by_node
    return max(0, int(min(by_node, beside_data)))


def workers_for(scale: ScaleConfig, capacity: int) -> int:
    """Workers to start. With less room than for the fewest these are started all the same: Ray waits for the nodes."""
    return min(scale.workers, max(capacity, scale.fewest_workers))


def _on_node(scale: ScaleConfig, node: Resources, use_gpu: bool) -> int:
    by_gpu = node.get("GPU", 0.0) if use_gpu else float(scale.workers)
    by_cpu = node.get("CPU", 0.0) // scale.cpus_per_worker if scale.cpus_per_worker else by_gpu
    return int(min(by_gpu, by_cpu))
