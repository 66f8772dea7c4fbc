"""Information about the nodes of the connected cluster."""

import ray

from scaleout.compat import ray_internals
from scaleout.compat.ray_internals import draining_nodes
from scaleout.workers.capacity import Resources


def spilled_bytes() -> dict[str, float]:
    """Return the bytes that all nodes spilled to disk since Ray started, as a metric; if it grows, the object store is too small."""
    return {"perf/spilled_bytes": float(ray_internals.spilled_bytes())}


def staying_nodes() -> list[Resources]:
    """Return the resources of the nodes that are alive and not draining."""
    leaving = draining_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
