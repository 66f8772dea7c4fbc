"""What Ray has no public way to ask or to do."""

import time
from typing import Any

import ray._private.state as ray_state
from ray._private.internal_api import get_memory_info_reply
from ray.data import DataContext
from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import get_or_create_autoscaling_coordinator
from ray.data._internal.execution.execution_callback import ExecutionCallback

PAUSE_SECONDS = 0.02
"""Between two turns of the loop that moves blocks: a few dozen blocks a second need no more."""


def draining_nodes() -> set[str]:
    """Ids of the nodes that will be taken away: the cloud, the autoscaler or SIGTERM to ``ray start`` has said so.

    Ray Train's own watcher asks here too.
    """
    return set(ray_state.state.get_draining_nodes())


def spilled_bytes() -> int:
    """What all nodes moved from memory to disk since Ray started. ``ray memory`` asks here too."""
    return int(get_memory_info_reply(ray_state.state).store_stats.spilled_bytes_total)


def start_autoscaling_coordinator() -> None:
    """Start the actor that Ray Train and Ray Data ask for resources, and do not wait for it.

    Ray Train would start it when it needs it, and wait for its process, on a busy machine in steps of five seconds.
    """
    get_or_create_autoscaling_coordinator()


class Pause(ExecutionCallback):
    """Lets the loop of an execution rest.

    While all blocks wait for the workers it has nothing to wait for itself, and would take most of a core to find that out.
    """

    def on_execution_step(self, executor: Any) -> None:
        """See ``ExecutionCallback``."""
        time.sleep(PAUSE_SECONDS)


def pause_between_steps(context: DataContext) -> None:
    """Let executions with this context rest after every turn of their loop."""
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, Pause]
