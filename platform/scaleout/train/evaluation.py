"""Evaluate a split on all workers: each evaluates its share, the records are joined, and one summary is computed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.metrics.records import Records
from medvlp.tasks.base import Task, TaskContext
from medvlp.tasks.module import TaskModule
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup
from scaleout.stream.batches import MicroBatch
from scaleout.stream.local import NO_KEY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = "key"
"""Name of the sample keys among the records."""


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """An evaluation: its samples, task and settings."""

    task: Task
    context: TaskContext
    batches: Iterable[MicroBatch]
    """This worker's share, the same at every iteration; all workers have the same number of batches."""
    draws_pictures: bool = False
    """Whether pictures of images may be logged."""
    seed: int = 0

    def run(self, engine: Engine, processes: ProcessGroup) -> tuple[dict[str, float], dict[str, "Figure"]]:
        """Return metrics and pictures on the first worker, and none on the others. Leaves the training state unchanged."""
        engine.task.eval()
        records, pictures = self.evaluate(engine.task, engine.device)  # type: ignore[arg-type]
        engine.task.train()
        joined = join_records(processes.gather(records))
        return (self.task.summarise(self.context, joined), pictures) if processes.is_first else ({}, {})

    @torch.no_grad()
    def evaluate(self, module: TaskModule, device: torch.device) -> tuple[Records, dict[str, "Figure"]]:
        """Return the records of this worker's share, in the order of the split, and pictures of its first batch."""
        parts: list[Records] = []
        pictures: dict[str, Figure] = {}
        for micro in self.batches:
            batch = micro.batch.to(device)
            # Random draws depend on the position in the split, not on the worker.
            torch.manual_seed(keyed_seed(self.seed, Purpose.MODEL, "validation", micro.number))
            found = {**self.task.evaluate(module, batch), KEY: np.array(batch.keys)}
            is_sample = found[KEY] != NO_KEY
            parts.append({name: values[is_sample] for name, values in found.items()})
            if len(parts) == 1 and self.draws_pictures:
                # Every worker draws them, only the first keeps them: with ZeRO-3 a forward is a collective.
                pictures = self.task.pictures(self.context, module, batch)
        return join_records(parts), pictures


def join_records(parts: list[Records]) -> Records:
    """Concatenate the records of all parts."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
