"""Runs that are broken on purpose: small, without Ray, all of the same configuration."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from scaleout.runs.config import RunConfig
from scaleout.tracking import CompositeTracker
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import read_records
from tests.scaleout.train.tiny_run import TinyRun, tiny_config

STEPS = 12
"""Of 16 samples: the second of the two windows of shards is read for the eighth step."""
KEY = "train/loss"


def chaos_config(shards: str, links: str, knowledge: str | Path, storage: str | Path, name: str = "tiny") -> RunConfig:
    """A run that makes a checkpoint at every other step and keeps the keys of its samples."""
    config = tiny_config(shards, links, Path(knowledge), Path(storage), max_steps=STEPS, validate_every=4, checkpoint_every=2, ledger=True)
    return replace(config, name=name, storage=str(storage), knowledge=str(knowledge))


class At(CompositeTracker):
    """Does something, once, when the point of a step is on the curves."""

    def __init__(self, actions: Mapping[int, Callable[[], object]]) -> None:
        super().__init__()
        self._actions = dict(actions)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See ``Tracker``."""
        if KEY in values and step in self._actions:
            self._actions.pop(step)()


@dataclass(frozen=True)
class Resumed:
    """How the same command went on."""

    run: TinyRun
    lost_steps: int
    """Steps that were on the curves and were done again."""
    seconds: float
    """From the command to the end of its first step."""


def resume(config: RunConfig, **options: Any) -> Resumed:
    """Give the command again and let it end."""
    curves = options.get("curves") or Path(config.storage, config.name)
    reached = max((line["step"] for line in read_records(curves / METRICS_FILE)), default=0)
    started, ended = time.monotonic(), []
    trackers = options.pop("trackers", [])
    done = At({step: lambda: ended.append(time.monotonic()) for step in range(1, STEPS + 1)})
    run = TinyRun(config, trackers=[*trackers, done], **options)
    lost = reached - run.progress.step
    run.run()
    return Resumed(run, lost, ended[0] - started)


def longest_pause(curves: Path) -> float:
    """Seconds between two points of the curves."""
    times = [line["time"] for line in read_records(curves / METRICS_FILE) if KEY in line["metrics"]]
    return max(later - earlier for earlier, later in pairwise(times))
