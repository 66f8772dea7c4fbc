"""A trial of a sweep: an ordinary run that Ray Tune evaluates after every validation."""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import ray
from ray import tune

from medvlp.errors import DataError, MedvlpError
from medvlp.json_values import parse_object, typed
from medvlp.redaction import redact_output
from scaleout.checkpoint.record import read_record
from scaleout.io import storage
from scaleout.launch.launch import Outcome, launch
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from scaleout.studies.sweep.config import SweepConfig
from scaleout.studies.sweep.decisions import TuneDecisions, ask_tune
from scaleout.tracking.runs import TRACKING_URI_VARIABLE, open_client

NUMBER = "number"
"""The parameter that Tune varies: the number of the trial, which determines everything else."""
STEP, SCORE = "step", "score"
"""Names of the values reported to Tune."""
_TRIALS = "trials"
_PATIENCE_SECONDS = 1.0


@dataclass(frozen=True, kw_only=True)
class TrialRecord:
    """How a trial ended; stored in the folder of the sweep, so that a restarted sweep does not repeat it."""

    number: int
    name: str
    weights: Mapping[str, float]
    steps: int
    finished: bool
    """Whether it ran to the last step; otherwise it was stopped early."""
    score: float
    """Metrics of the last validation."""
    checkpoint: str
    mlflow_run: str


class Trial(tune.Trainable):
    """The trainable that Tune starts for every trial. One step runs up to the next validation."""

    def setup(  # type: ignore[override]
        self, config: dict[str, Any], sweep: SweepConfig, tracking_uri: str, parent_run: str
    ) -> None:
        """Start the run. All arguments but ``config`` come from ``tune.with_parameters``."""
        redact_output()
        os.environ[TRACKING_URI_VARIABLE] = tracking_uri  # with its credentials, which no record of the run may contain
        self._sweep = sweep
        self._number = int(config[NUMBER])
        self._config = sweep.trial(self._number, tracking_uri, parent_run)
        self._reported = 0
        self._decisions: Any = ray.remote(num_cpus=0)(TuneDecisions).remote()
        driver = ThreadPoolExecutor(1, thread_name_prefix="trial")
        self._run = driver.submit(launch, self._config, keep_training=partial(ask_tune, self._decisions))

    def step(self) -> dict[str, Any]:
        """Let the run continue, and return its next validation. Tune calls ``stop`` instead to end it."""
        ray.get(self._decisions.accept.remote(self._reported))
        while True:
            report = ray.get(self._decisions.report.remote(self._reported, _PATIENCE_SECONDS))
            if report is not None:
                self._reported += 1
                return {STEP: report[STEP], SCORE: self._sweep.sweep.rate(report)}
            if self._run.done():
                record = self._record(self._result())
                return {STEP: record.steps, SCORE: record.score, "done": True}

    def cleanup(self) -> None:
        """End the run, if it has not ended, and record the result; on return, all resources of the trial are released."""
        ray.get(self._decisions.stop.remote())
        if self._run.exception() is None:
            save_record(self._sweep, self._record(self._run.result()))

    def _result(self) -> Outcome:
        try:
            return self._run.result()
        except MedvlpError as error:
            raise error from None  # Tune writes the causes to files, and those of other libraries may contain a password

    def _record(self, outcome: Outcome) -> TrialRecord:
        steps = read_record(outcome.checkpoint).step
        return TrialRecord(
            number=self._number,
            name=self._config.name,
            weights=asdict(self._config.task.weights),  # type: ignore[attr-defined]
            steps=steps,
            finished=steps >= self._config.train.max_steps,
            score=self._sweep.sweep.rate(outcome.metrics or _tracked_metrics(outcome)),
            checkpoint=outcome.checkpoint,
            mlflow_run=outcome.mlflow_run,
        )


def save_record(sweep: RunConfig, record: TrialRecord) -> None:
    """Write a record to the folder of the sweep."""
    storage.write_bytes(_record_uri(sweep, record.number), json.dumps(asdict(record), indent=1).encode())


def load_records(sweep: SweepConfig) -> list[TrialRecord]:
    """Read the records of all trials that have ended."""
    uris = [_record_uri(sweep, number) for number in range(sweep.sweep.trials)]
    return [_read_record(uri) for uri in uris if storage.exists(uri)]


def _read_record(uri: str) -> TrialRecord:
    try:
        return typed(TrialRecord, parse_object(storage.read_bytes(uri)))
    except ValueError as error:
        raise DataError(f"{uri} is damaged ({error}); restore it from a copy, or delete it: then the trial is evaluated again") from error


def _record_uri(sweep: RunConfig, number: int) -> str:
    return storage.join(run_folder(sweep), _TRIALS, f"{number}.json")


def _tracked_metrics(outcome: Outcome) -> dict[str, float]:
    """Return the tracked metrics of a run that had finished before: its sweep was killed between the last step and the record."""
    return dict(open_client(outcome.tracking_uri).get_run(outcome.mlflow_run).data.metrics)
