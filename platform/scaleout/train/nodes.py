"""The nodes of the cluster that this process is connected to."""

import ray
import ray._private.state as ray_state

from scaleout.train.room import Resources


def draining_nodes() -> set[str]:
    """Ids of the nodes that will be taken away: the cloud, the autoscaler or SIGTERM to ``ray start`` has said so.

    Ray has no public way to ask from a driver; Ray Train's own watcher asks here too.
    """
    return set(ray_state.state.get_draining_nodes())


def staying_nodes() -> list[Resources]:
    """What the nodes have that are alive and stay."""
    leaving = draining_nodes()
    return [node["Resources"] for node in ray.nodes() if node["Alive"] and node["NodeID"] not in leaving]
