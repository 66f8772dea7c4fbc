"""What one worker adds up between two points of the training curves."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from scaleout.stream.turns import Turn
from scaleout.train.device import Usage
from scaleout.train.skipping import Forward


@dataclass
class Window:
    """The steps since the last point."""

    started: float = field(default_factory=time.perf_counter)
    wait_seconds: float = 0.0
    steps: int = 0
    norms: list[float] = field(default_factory=list)
    """Of the gradients of the steps that were not skipped."""
    flops: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    """Learning rates of the last step."""
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def add(self, forwards: list[Forward], norm: float) -> None:
        """Count a step that was not skipped. Sums stay on the device: reading them would make the GPU wait."""
        self.norms.append(norm)
        for forward in forwards:
            parts = {"train/loss": forward.loss, **{f"train/{name}_loss": value for name, value in forward.losses.items()}}
            for name, value in parts.items():
                self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time of what is done inside."""
        started = time.perf_counter()
        yield
        self.started += time.perf_counter() - started

    def waiting_for(self, turns: Iterator[Turn]) -> Turn | None:
        """The next turn, its wait counted; None at the end of the step."""
        started = time.perf_counter()
        turn = next(turns, None)
        self.wait_seconds += time.perf_counter() - started
        return turn

    def figures(self, device: torch.device, seconds: float) -> tuple[dict[str, float], float, Usage]:
        """Sums of the losses, seconds without data, and use of the device: what the first worker hears of each."""
        return {name: float(value) for name, value in self.sums.items()}, self.wait_seconds, Usage.of(device, self.flops / seconds)
