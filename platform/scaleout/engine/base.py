"""The protocol of the engines, which turn a loss into an optimiser step, and their settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from medvlp.data.batch import Batch
from medvlp.tasks.module import TaskOutput
from scaleout.engine.layout import Layout

TAG = "engine"
"""Name of the training state inside its folder."""


@dataclass(frozen=True)
class EngineConfig:
    """Settings of both engines."""

    micro_batch: int
    accumulation: int
    clip_norm: float
    zero_stage: int
    bf16: bool
    learning_rate_factor: Callable[[int], float]
    """Learning-rate factor of all groups at an optimiser step."""
    zero_options: Mapping[str, Any] = field(default_factory=dict)
    """More of DeepSpeed's ``zero_optimization`` settings."""
    resharded: bool = False
    """Whether ``load`` reads the universal layout, written by another number of workers."""

    @property
    def layout(self) -> Layout:
        """The layout of the training state."""
        return Layout(self.zero_stage, "bf16" if self.bf16 else "fp32")


class Engine(Protocol):
    """One worker's handle on training. Every method is called by all workers, in the same order."""

    task: nn.Module
    device: torch.device
    layout: Layout
    """The layout of the training state that it saves and loads."""

    def forward(self, batch: Batch) -> TaskOutput:
        """Run the task on one micro-batch."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of one micro-batch; a step uses the mean over its micro-batches."""
        ...

    def step(self) -> float | None:
        """Update the weights at the last micro-batch of a step; called after every backward.

        If the gradient of any worker is non-finite, no worker changes its weights; the learning-rate schedule still advances.

        Returns:
            At the last micro-batch, the norm of the gradient before clipping; else None.
        """
        ...

    def learning_rates(self) -> dict[str, float]:
        """Return the current learning rate of every group, by its role."""
        ...

    def save(self, folder: Path) -> None:
        """Write this worker's part of the training state."""
        ...

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote with the same layout and number of workers, or with ``resharded`` its universal layout.

        Raises:
            CheckpointError: the state does not fit.
        """
        ...

    def set_frozen(self, weights: Mapping[str, Tensor]) -> None:
        """Set every untrained parameter from ``weights``: the universal layout omits them."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """Return all trained weights of the task in float32 on the CPU, gathered from the workers."""
        ...
