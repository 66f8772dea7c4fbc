"""Functions of both engines that read or set values of a task and its optimiser."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR


def gradient_norm(task: nn.Module) -> Tensor:
    """Return the norm of all gradients together."""
    return torch.nn.utils.get_total_norm([parameter.grad for parameter in task.parameters() if parameter.grad is not None])


def learning_rates(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Return the current learning rate of every group, by its role."""
    return {group["name"]: group["lr"] for group in optimiser.param_groups}


def follow_schedule(optimiser: torch.optim.Optimizer, scheduler: LambdaLR) -> None:
    """Set every learning rate to its value in the schedule at the current step.

    After loading a checkpoint nothing changes, unless the checkpoint is from a run with fewer total steps.
    """
    for group, base, factor in zip(optimiser.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
        group["lr"] = base * factor(scheduler.last_epoch)
