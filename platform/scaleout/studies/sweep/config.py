"""The configuration of a sweep, and of each of its trials."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated

from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.errors import ConfigurationError, DataError
from medvlp.redaction import without_credentials
from medvlp.tasks.pretrain.config import Objective, ObjectiveWeights
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.values import AnyInteger, AnyNumber, Checked, Count, Positive, Range
from scaleout.io.places import check_name
from scaleout.runs.config import RunConfig

Weights = tuple[Positive, Positive]


def _default_score() -> dict[str, float]:
    gain = {"mlm_entity_accuracy": 1.0, "mlm_entity_accuracy_shuffled_image": -1.0}
    return {"align_image_auroc": 1.0, "itm_accuracy": 1.0, **gain}


@dataclass(frozen=True, kw_only=True)
class SearchConfig(Checked):
    """The search space and the score of a trial."""

    trials: Count = 16
    """Number of trials, each with its own weights."""
    mlm: Weights = (0.1, 10.0)
    """Range of the weight of masked language modelling; sampled log-uniformly, as all weights."""
    mim: Weights = (0.1, 10.0)
    itm: Weights = (0.1, 10.0)
    align: Weights = (0.1, 10.0)
    seed: AnyInteger = 0
    """Seed of the sampled weights; the weights of a trial depend on it and on the trial's number."""
    score: dict[str, AnyNumber] = field(default_factory=_default_score)
    """Weights of the validation metrics in the score. No losses: losses of trials with different weights are not comparable."""
    grace_steps: Count | None = None
    """Optimiser steps before a trial may be stopped; by default up to the first validation."""
    reduction: Annotated[int, Range(at_least=2)] = 3
    """Reduction factor of successive halving: at every rung, one in this many trials continues."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for objective in Objective:
            low, high = getattr(self, objective)
            if low > high:
                raise ConfigurationError(f"sweep.{objective} [{low}, {high}]: give the smaller weight first")
        losses = [name for name in self.score if "loss" in name]
        if losses or not self.score:
            raise ConfigurationError(
                f"sweep.score must use metrics that do not depend on the weights, not {', '.join(losses) or 'nothing'}: "
                f"use accuracies and areas, as in the default {_default_score()}"
            )

    def weights(self, number: int) -> ObjectiveWeights:
        """Return the weights of a trial: a pure function of seed, ranges and the trial's number."""
        generator = keyed_generator(self.seed, Purpose.SWEEP, number)
        ranges = {objective.value: getattr(self, objective) for objective in Objective}
        return ObjectiveWeights(
            **{name: math.exp(generator.uniform(math.log(low), math.log(high))) for name, (low, high) in ranges.items()}
        )

    def rate(self, metrics: Mapping[str, float]) -> float:
        """Return the score of a validation.

        Raises:
            DataError: the validation lacks a metric of the score.
        """
        missing = [name for name in self.score if f"val/{name}" not in metrics]
        if missing:
            raise DataError(f"the validation has no {', '.join(missing)}: increase train.validation_samples, or change sweep.score")
        return sum(share * metrics[f"val/{name}"] for name, share in self.score.items())


@dataclass(frozen=True, kw_only=True)
class SweepConfig(RunConfig):
    """Pre-train with many weights of the objectives. Everything else is the same in all trials."""

    sweep: SearchConfig = field(default_factory=SearchConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.task, Pretraining):
            raise ConfigurationError("a sweep searches the weights of the pretext objectives: use task pretrain")
        for name in self.sweep.score:
            replace(self.task, weights=self.sweep.weights(0)).check_metric(name, "sweep.score")
        check_name(self.trial_name(self.sweep.trials - 1), "the name of the last trial")

    def trial(self, number: int, tracking_uri: str, parent_run: str) -> RunConfig:
        """Return the configuration of trial ``number`` as an ordinary run."""
        shared = {each.name: getattr(self, each.name) for each in fields(RunConfig)}
        changed = {
            "name": self.trial_name(number),
            "task": replace(self.task, weights=self.sweep.weights(number)),  # type: ignore[call-arg]
            "tracking": replace(self.tracking, uri=without_credentials(tracking_uri), parent_run=parent_run),
            "scale": replace(self.scale, minimum_workers=None),  # trials share the cluster: none may take another's capacity
        }
        return RunConfig(**{**shared, **changed})

    def trial_name(self, number: int) -> str:
        """Return the run name of trial ``number``."""
        return f"{self.name}-{number}"
