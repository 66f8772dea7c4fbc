"""The driver of a sweep: one MLflow parent run, Ray Tune over the trials, and the table of results."""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler

from medvlp.configuration import to_plain
from medvlp.errors import TrainingError
from medvlp.redaction import redact
from scaleout.cli import to_yaml
from scaleout.cluster import connect
from scaleout.io import storage
from scaleout.launch.launch import find_or_create, prepare
from scaleout.runs.config import ScaleConfig
from scaleout.runs.record import run_folder
from scaleout.signals import Stopped
from scaleout.studies.sweep.config import SweepConfig
from scaleout.studies.sweep.trial import NUMBER, SCORE, STEP, Trial, TrialRecord, load_records
from scaleout.tracking import MlflowTracker, RunStatus, close_children, resolve_tracking_uri
from scaleout.workers.channel import find_user_error
from scaleout.workers.preflight import DATA_CPUS, check_run, cluster_resources

logger = logging.getLogger(__name__)

RESULT_FILE = "sweep.json"

_TRIAL_RESOURCES: dict[str, float] = {"memory": 1}
"""Resources of a trial's driver. Tune must reserve something, and Ray Data may need every share of a CPU."""


@dataclass(frozen=True, kw_only=True)
class SweepOutcome:
    """How a sweep ended."""

    trials: list[TrialRecord]
    """All trials, the best first: finished trials come before stopped ones."""
    failed: Mapping[str, str] = field(default_factory=dict)
    """Errors of failed trials, by name; the same command tries them again."""
    tracking_uri: str
    mlflow_run: str

    @property
    def best(self) -> TrialRecord:
        """The finished trial with the best score."""
        return self.trials[0]


def search(config: SweepConfig) -> SweepOutcome:
    """Run the trials of a sweep that have not ended yet, and rank all of them.

    Raises:
        MedvlpError: an error that the user can fix, or no trial succeeded; the same command continues.
    """
    tracking_uri = resolve_tracking_uri(config.storage, config.tracking.uri)
    config, inputs = prepare(config)
    with connect():
        resources = cluster_resources()
        use_gpu = check_run(config, inputs, resources)
        parent = find_or_create("sweep", config, inputs, tracking_uri).mlflow_run
        with _tracked(config, tracking_uri, parent) as tracker:
            failed = _run_trials(config, tracking_uri, parent, concurrent_trials(config.scale, resources, use_gpu=use_gpu))
            outcome = _rank(config, failed, tracking_uri, parent)
            _publish(config, outcome, tracker)
    return outcome


def concurrent_trials(scale: ScaleConfig, resources: Mapping[str, float], *, use_gpu: bool) -> int:
    """Return how many trials fit on the cluster: Tune does not count the workers and data tasks that a trial starts."""
    fitting = resources.get("CPU", 0.0) / (scale.workers * scale.cpus_per_worker + DATA_CPUS)
    if use_gpu:
        fitting = min(fitting, resources.get("GPU", 0.0) / scale.workers)
    return max(1, int(fitting))


@contextmanager
def _tracked(config: SweepConfig, tracking_uri: str, parent: str) -> Iterator[MlflowTracker]:
    """Open the parent run in MLflow while trials run, and close it with all its children at the end."""
    status = RunStatus.FAILED
    with tempfile.TemporaryDirectory(prefix="medvlp-sweep-") as folder:
        tracker = MlflowTracker(tracking_uri, parent, Path(folder))
        tracker.params(to_plain(config))
        try:
            yield tracker
            status = RunStatus.FINISHED
        except Stopped:
            status = RunStatus.KILLED
            raise
        finally:
            tracker.finish(status)
            close_children(tracking_uri, parent)


def _run_trials(config: SweepConfig, tracking_uri: str, parent: str, concurrent: int) -> dict[str, str]:
    """Run the trials that have no record; return the errors of those that failed."""
    ended = {record.number for record in load_records(config)}
    waiting = [number for number in range(config.sweep.trials) if number not in ended]
    if not waiting:
        logger.info("sweep %r has finished all %d trials: nothing to do", config.name, config.sweep.trials)
        return {}
    logger.info("resolved configuration:\n%s", to_yaml(config))
    logger.info("%d trials to run, %d at a time", len(waiting), concurrent)
    os.environ.setdefault("TUNE_DISABLE_SIGINT_HANDLER", "1")  # Ctrl-C ends a sweep like every other job
    trial = tune.with_parameters(Trial, sweep=config, tracking_uri=tracking_uri, parent_run=parent)
    results = tune.Tuner(
        tune.with_resources(trial, _TRIAL_RESOURCES),
        param_space={NUMBER: tune.grid_search(waiting)},
        tune_config=tune.TuneConfig(
            metric=SCORE,
            mode="max",
            scheduler=scheduler(config),
            max_concurrent_trials=concurrent,
            trial_name_creator=lambda trial: config.trial_name(trial.config[NUMBER]),
        ),
        run_config=_tune_run_config(config),
    ).fit()
    errors = {number: results[index].error for index, number in enumerate(waiting)}
    return {config.trial_name(number): redact(str(find_user_error(error) or error)) for number, error in errors.items() if error}


def scheduler(config: SweepConfig) -> ASHAScheduler:
    """Create the successive-halving scheduler: every rung stops the trials that are not among the best so far."""
    train, sweep = config.train, config.sweep
    grace = min(sweep.grace_steps or train.validate_every, train.max_steps)
    return ASHAScheduler(
        time_attr=STEP, max_t=train.max_steps, grace_period=grace, reduction_factor=sweep.reduction, stop_last_trials=False
    )


def _tune_run_config(config: SweepConfig) -> tune.RunConfig:
    """Configure Tune, which stores only its own small state here; checkpoints belong to the runs."""
    filesystem, path = storage.arrow_filesystem(run_folder(config))
    return tune.RunConfig(
        name="tune",
        storage_path=path,
        storage_filesystem=filesystem,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        verbose=0,
        callbacks=[_Progress(config)],
    )


class _Progress(tune.Callback):
    """Logs every validation and the end of every trial."""

    def __init__(self, config: SweepConfig) -> None:
        self._config = config

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any) -> None:
        """See ``tune.Callback``."""
        logger.info("%s step %d/%d: score %.3f", trial, result[STEP], self._config.train.max_steps, result[SCORE])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        logger.info("%s ends at step %d", trial, trial.last_result[STEP])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """See ``tune.Callback``."""
        logger.info("%s failed", trial)


def _rank(config: SweepConfig, failed: dict[str, str], tracking_uri: str, parent: str) -> SweepOutcome:
    records = sorted(load_records(config), key=lambda record: (not record.finished, -record.score))
    if not records or not records[0].finished:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise TrainingError(f"no trial of sweep {config.name!r} finished ({reasons}); run the same command to try again")
    return SweepOutcome(trials=records, failed=failed, tracking_uri=tracking_uri, mlflow_run=parent)


def _publish(config: SweepConfig, outcome: SweepOutcome, tracker: MlflowTracker) -> None:
    """Write the table to the folder of the sweep and to the parent run."""
    best = outcome.best
    table = {"best": asdict(best), "trials": [asdict(trial) for trial in outcome.trials], "failed": dict(outcome.failed)}
    content = json.dumps(table, indent=1).encode()
    storage.write_bytes(storage.join(run_folder(config), RESULT_FILE), content)
    tracker.tags({"best_trial": best.name, "best_run": best.mlflow_run})
    tracker.metrics({"sweep/best_score": best.score, **{f"sweep/best_{name}_weight": weight for name, weight in best.weights.items()}}, 0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / RESULT_FILE
        path.write_bytes(content)
        tracker.artifact(path)
        tracker.flush(timeout=60)
