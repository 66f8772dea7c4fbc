"""What torch has no public way to do."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

from torch import nn
from torch.distributed import distributed_c10d


def set_collective_timeout(seconds: float) -> None:
    """Let every collective fail that takes longer, in every process group of this process, whoever made the group."""
    for group in list(distributed_c10d._world.pg_map):
        distributed_c10d._set_pg_timeout(timedelta(seconds=seconds), group)


def wrap_forward_hooks(module: nn.Module, wrap: Callable[[Any], Any]) -> None:
    """Replace every hook that runs before or after the forward of ``module`` by what ``wrap`` makes of it."""
    for hooks in (module._forward_pre_hooks, module._forward_hooks):
        for key, hook in hooks.items():
            hooks[key] = wrap(hook)
