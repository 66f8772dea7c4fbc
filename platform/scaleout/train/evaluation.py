"""Validation over all workers: each evaluates its share, the records are joined, one summary is made."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.figure import Figure

from medvlp.data.batch import Batch
from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.metrics.records import Records
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What is validated, and how."""

    batches: Callable[[], Iterable[Batch]]
    """This worker's share, the same at every call; every worker has the same number."""
    evaluate: Callable[[Batch], Records]
    summarise: Callable[[Records], dict[str, float]]
    pictures: Callable[[Batch], dict[str, Figure]] | None
    """Draws from a batch; None where pictures of images may not be logged."""
    seed: int

    def run(self, engine: Engine, processes: ProcessGroup) -> tuple[dict[str, float], dict[str, Figure]]:
        """Metrics and pictures, on the first worker; the others get none. Training goes on as if this had not been."""
        engine.task.eval()
        parts: list[Records] = []
        pictures: dict[str, Figure] = {}
        for number, batch in enumerate(self.batches()):
            on_device = batch.to(engine.device)
            torch.manual_seed(keyed_seed(self.seed, Purpose.MODEL, "validation", number * processes.workers + processes.rank))
            parts.append(self.evaluate(on_device))
            if number == 0 and self.pictures is not None:
                # Drawn by every worker, kept by the first: with ZeRO-3 a forward is a collective.
                pictures = self.pictures(on_device)
        engine.task.train()
        joined = _join(processes.gather(_join(parts)))
        return (self.summarise(joined), pictures) if processes.is_first else ({}, {})


def _join(parts: list[Records]) -> Records:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
