"""The nodes of the cluster that this process is connected to."""

import ray
import ray._private.state as ray_state
from ray._private.internal_api import get_memory_info_reply

from scaleout.workers.capacity import Resources


def draining_nodes() -> set[str]:
    """Ids of the nodes that will be taken away: the cloud, the autoscaler or SIGTERM to ``ray start`` has said so.

    Ray has no public way to ask from a driver; Ray Train's own watcher asks here too.
    """
    return set(ray_state.state.get_draining_nodes())


def spilled_bytes() -> dict[str, float]:
    """What all nodes moved from memory to disk since Ray started, as a metric; if it grows, the object store is too small."""
    # Ray has no public way to ask; ``ray memory`` asks here too.
    return {"perf/spilled_bytes": float(get_memory_info_reply(ray_state.state).store_stats.spilled_bytes_total)}


def staying_nodes() -> list[Resources]:
    """What the nodes have that are alive and stay."""
    leaving = draining_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
