"""The sums of one worker between two points of the training curves."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from medvlp.data.batch import Batch
from scaleout.engine.device import Usage
from scaleout.stream.schedule import MicroStep
from scaleout.train.hooks.nonfinite import Forward


@dataclass
class Interval:
    """The steps since the last point."""

    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)
    """Sums of times: see ``MicroBatch.seconds``; "data_wait" is the loop's wait for batches, "transfer" the copy to the device."""
    steps: int = 0
    norms: list[float] = field(default_factory=list)
    """Gradient norms of the steps that were not skipped."""
    flops: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    """Learning rates of the last step."""
    sums: dict[str, torch.Tensor] = field(default_factory=dict)
    skipped: list[tuple[str, str]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    """Samples that could not be decoded on any worker, by reason."""

    def add(self, forwards: list[Forward], norm: float) -> None:
        """Count a step that was not skipped. Sums stay on the device: reading them would make the GPU wait."""
        self.norms.append(norm)
        for forward in forwards:
            parts = {"train/loss": forward.loss, **{f"train/{name}_loss": value for name, value in forward.losses.items()}}
            for name, value in parts.items():
                self.sums[name] = self.sums.get(name, torch.zeros_like(value)) + value

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Exclude the time spent inside the context."""
        started = time.perf_counter()
        yield
        self.started += time.perf_counter() - started

    def waiting_for(self, micro_steps: Iterator[MicroStep]) -> MicroStep | None:
        """Return the next micro-step and count the wait for it; None at the end of the step."""
        started = time.perf_counter()
        micro_step = next(micro_steps, None)
        self.spend({"data_wait": time.perf_counter() - started})
        return micro_step

    def moved(self, batch: Batch, device: torch.device) -> Batch:
        """Move the batch to the device and count the transfer."""
        started = time.perf_counter()
        batch = batch.to(device)
        self.spend({"transfer": time.perf_counter() - started})
        return batch

    def spend(self, seconds: Mapping[str, float]) -> None:
        """Add the times of one micro-batch."""
        for name, value in seconds.items():
            self.seconds[name] = self.seconds.get(name, 0.0) + value

    def figures(self, device: torch.device, seconds: float) -> tuple[dict[str, float], dict[str, float], Usage]:
        """Return the sums of the losses, seconds by stage, and device usage: what each worker sends to the first one."""
        return {name: float(value) for name, value in self.sums.items()}, dict(self.seconds), Usage.of(device, self.flops / seconds)
