"""What both engines read from a task and its optimiser, and set in it."""

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR


def gradient_norm(task: nn.Module) -> Tensor:
    """The norm of all gradients together."""
    return torch.nn.utils.get_total_norm([parameter.grad for parameter in task.parameters() if parameter.grad is not None])


def learning_rates(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Current learning rate of every group, by its role."""
    return {group["name"]: group["lr"] for group in optimiser.param_groups}


def follow_schedule(optimiser: torch.optim.Optimizer, scheduler: LambdaLR) -> None:
    """Set every learning rate to what the schedule says at its step.

    After a checkpoint was loaded these are the very same, unless the checkpoint is of a run that had fewer steps to go.
    """
    for group, base, factor in zip(optimiser.param_groups, scheduler.base_lrs, scheduler.lr_lambdas, strict=True):
        group["lr"] = base * factor(scheduler.last_epoch)
