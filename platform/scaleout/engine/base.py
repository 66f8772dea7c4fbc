"""What turns a loss into an optimiser step: the protocol of the engines, and their settings."""

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
"""What the training state is called inside its folder."""


@dataclass(frozen=True)
class EngineConfig:
    """Settings of both engines."""

    micro_batch: int
    accumulation: int
    clip_norm: float
    zero_stage: int
    bf16: bool
    learning_rate_factor: Callable[[int], float]
    """Factor of every group's learning rate at an optimiser step."""
    zero_options: Mapping[str, Any] = field(default_factory=dict)
    """More of DeepSpeed's ``zero_optimization`` settings."""
    resharded: bool = False
    """What ``load`` will read was written by another number of workers and is in the universal layout."""

    @property
    def layout(self) -> Layout:
        """Of the training state."""
        return Layout(self.zero_stage, "bf16" if self.bf16 else "fp32")


class Engine(Protocol):
    """One worker's handle on training. Every method is called by all workers, in the same order."""

    task: nn.Module
    device: torch.device
    layout: Layout
    """Of the training state that it saves and loads."""

    def forward(self, batch: Batch) -> TaskOutput:
        """The task on one micro-batch."""
        ...

    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of one micro-batch; the mean over the micro-batches of a step counts."""
        ...

    def step(self) -> float | None:
        """Called after every backward: updates the weights at the last micro-batch of a step.

        A gradient that is not finite, on any worker, changes no weight on all of them; the learning rates go on.

        Returns:
            At the last micro-batch, the norm of the gradient before clipping; else None.
        """
        ...

    def learning_rates(self) -> dict[str, float]:
        """Current learning rate of every group, by its role."""
        ...

    def save(self, folder: Path) -> None:
        """Write this worker's part of the training state."""
        ...

    def load(self, folder: Path) -> None:
        """Read what ``save`` wrote with the same layout and number of workers, or, ``resharded``, its universal layout.

        Raises:
            CheckpointError: it does not fit.
        """
        ...

    def set_frozen(self, weights: Mapping[str, Tensor]) -> None:
        """Take from ``weights`` every parameter that is not trained: the universal layout leaves them out."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """All trained weights of the task in float32 on the CPU, gathered from the workers."""
        ...
