"""What both engines read from a task and its optimiser."""

import torch
from torch import Tensor, nn


def gradient_norm(task: nn.Module) -> Tensor:
    """The norm of all gradients together."""
    return torch.nn.utils.get_total_norm([parameter.grad for parameter in task.parameters() if parameter.grad is not None])


def learning_rates(optimiser: torch.optim.Optimizer) -> dict[str, float]:
    """Current learning rate of every group, by its role."""
    return {group["name"]: group["lr"] for group in optimiser.param_groups}
