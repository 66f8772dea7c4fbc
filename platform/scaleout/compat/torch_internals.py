"""Functions for which torch has no public interface."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from torch import nn
from torch.distributed import distributed_c10d
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter


def set_collective_timeout(seconds: float) -> None:
    """Set the timeout of collectives in every process group of this process, including those of libraries."""
    for group in list(distributed_c10d._world.pg_map):
        distributed_c10d._set_pg_timeout(timedelta(seconds=seconds), group)


def end_loader_processes(batches: Iterator[Any]) -> None:
    """End the processes of a DataLoader's iterator now; torch does it when the last reference, such as an error's traceback, is gone."""
    if isinstance(batches, _MultiProcessingDataLoaderIter):
        batches._shutdown_workers()


def wrap_forward_hooks(module: nn.Module, wrap: Callable[[Any], Any]) -> None:
    """Replace every hook before or after the forward of ``module`` by ``wrap(hook)``."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in hooks.items():
            hooks[key] = wrap(hook)
