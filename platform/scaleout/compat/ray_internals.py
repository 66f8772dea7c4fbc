"""Functions for which Ray has no public interface."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import grpc
import ray._private.services as ray_services
import ray._private.state as ray_state
from ray._private.grpc_utils import init_grpc_channel
from ray._private.internal_api import get_memory_info_reply
from ray._private.ray_constants import GLOBAL_GRPC_OPTIONS
from ray.data import DataContext
from ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator import get_or_create_autoscaling_coordinator
from ray.data._internal.execution.execution_callback import ExecutionCallback

PAUSE_SECONDS = 0.02
"""Pause between two iterations of the loop that moves blocks; enough for a few dozen blocks per second."""


def draining_nodes() -> set[str]:
    """Return the ids of the draining nodes, as announced by the cloud, the autoscaler or SIGTERM to ``ray start``.

    Ray Train's own watcher uses the same call.
    """
    return set(ray_state.state.get_draining_nodes())


def spilled_bytes() -> int:
    """Return the bytes that all nodes spilled to disk since Ray started. ``ray memory`` uses the same call."""
    return int(get_memory_info_reply(ray_state.state).store_stats.spilled_bytes_total)


@contextmanager
def own_sessions() -> Iterator[None]:
    """Give the processes of a Ray that ``ray.init`` starts in this block sessions of their own.

    A signal to the process group of the driver (Ctrl-C, ``timeout``, Slurm) would otherwise end them before the driver can save. They
    still die with the thread that starts them: Ray asks the kernel for that.
    """
    with patch.object(ray_services, "ConsolePopen", partial(ray_services.ConsolePopen, start_new_session=True)):
        yield


def answers(address: str, seconds: float) -> bool:
    """Return whether a Ray answers within so many seconds, even if it does not accept this process.

    Args:
        address: an address as ``ray.init`` accepts it: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``.
        seconds: limit; a host that refuses a connection has as long to start.

    Raises:
        ConnectionError: ``auto``, and there is no Ray on this machine.
        ValueError: it is no address.
    """
    client = "ray://"
    if address.startswith(client):
        target, method = address.removeprefix(client), "/ray.rpc.RayletDriver/ClusterInfo"
    else:
        target, method = ray_services.canonicalize_bootstrap_address_or_die(address), "/ray.rpc.NodeInfoGcsService/GetClusterId"
    channel = init_grpc_channel(target, GLOBAL_GRPC_OPTIONS)
    try:
        channel.unary_unary(method)(b"", timeout=seconds, wait_for_ready=True)
    except grpc.RpcError as error:
        return bool(error.code() in {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})
    finally:
        channel.close()
    return True


def start_autoscaling_coordinator() -> None:
    """Start the actor that Ray Train and Ray Data ask for resources, without waiting for it.

    Otherwise Ray Train starts it when it needs it, and waits for its process: on a busy machine, in steps of five seconds.
    """
    get_or_create_autoscaling_coordinator()


class Pause(ExecutionCallback):
    """Pauses the loop of an execution.

    While all blocks wait for the workers, the loop would otherwise poll and use most of a core.
    """

    def on_execution_step(self, executor: Any) -> None:
        """See ``ExecutionCallback``."""
        time.sleep(PAUSE_SECONDS)


def pause_between_steps(context: DataContext) -> None:
    """Pause executions with this context after every iteration of their loop."""
    context.custom_execution_callback_classes = [*context.custom_execution_callback_classes, Pause]
