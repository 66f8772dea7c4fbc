"""Functions for which torch has no public interface."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch import nn
from torch.distributed import distributed_c10d


def set_collective_timeout(seconds: float) -> None:
    """Set the timeout of collectives in every process group of this process, including those of libraries."""
    for group in list(distributed_c10d._world.pg_map):
        distributed_c10d._set_pg_timeout(timedelta(seconds=seconds), group)


def wrap_forward_hooks(module: nn.Module, wrap: Callable[[Any], Any]) -> None:
    """Replace every hook before or after the forward of ``module`` by ``wrap(hook)``."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in hooks.items():
            hooks[key] = wrap(hook)
