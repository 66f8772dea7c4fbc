"""What tests that break runs share: when to strike, what it cost, and that the run ended as if nothing had happened."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil
import pytest
import torch
from torch import multiprocessing

from scaleout.checkpoint.read import read_weights
from scaleout.checkpoint.record import CheckpointRecord
from scaleout.checkpoint.store import CheckpointStore
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.record import CHECKPOINTS_FOLDER
from scaleout.tracking import start_run
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import read_records
from scaleout.tracking.runs import open_client
from scaleout.train.hooks.ledger import LEDGER_FOLDER
from scaleout.train.worker import WorkerSetup
from tests.conftest import REPOSITORY
from tests.faults import Fault, record
from tests.scaleout.train.ledger import read_ledger
from tests.scaleout.train.worker_processes import work

STEPS = 30
LONG = [
    *("--train.max_steps", str(STEPS), "--train.checkpoint_every", "5", "--train.validate_every", "15", "--train.log_every", "1"),
    # A large epsilon: Adam makes steps of full size of rounding errors where a gradient vanishes.
    *("--train.optimiser.epsilon", "1e-3", "--train.ledger", "true", "--tracking.pictures", "false"),
]
SECONDS = 240
"""Patience with a busy machine."""
TOLERANCE = 1e-4
"""Relative difference of losses that other numbers of workers may make, by other orders of sums."""


def wait_until(happens: Callable[[], bool], what: str, alive: Callable[[], bool] = lambda: True) -> None:
    """Wait for something that a living run does."""
    deadline = time.monotonic() + SECONDS
    while not happens():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        assert alive(), f"the run ended before {what}"
        time.sleep(0.1)


def newest(run: str) -> tuple[str, CheckpointRecord] | None:
    """The newest complete checkpoint of a run."""
    return CheckpointStore(storage.join(run, CHECKPOINTS_FOLDER), keep=2).newest()


def newest_step(run: str) -> int:
    """Its step; 0 if there is none."""
    found = newest(run)
    return found[1].step if found else 0


def steps_seen(run: str) -> list[int]:
    """The steps of a local run that have a point on its curves."""
    path = Path(run, METRICS_FILE)
    return [line["step"] for line in read_records(path) if "train/loss" in line["metrics"]] if path.exists() else []


def workers(of: int | None = None) -> list[psutil.Process]:
    """Ray Train's workers among the processes below a process, by default this one."""
    found = []
    for process in psutil.Process(of).children(recursive=True):
        try:
            if process.name().startswith("ray::RayTrainWo") and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


@dataclass
class Strike:
    """What a fault cost."""

    at: int
    """The last step before it."""
    again: int
    """Steps that were done again."""
    seconds: float
    """From the fault to the end of the next new step."""


def strike(run: str, after: int, do: Callable[[], object], alive: Callable[[], bool] = lambda: True) -> Strike:
    """Break a run when it has done a step after ``after`` and a checkpoint, and wait until it has done a new one."""
    wait_until(lambda: max(steps_seen(run), default=0) > after and newest_step(run) > 0, f"it has continued after step {after}", alive)
    struck, since = workers(), time.monotonic()
    do()
    return recovery(run, since, struck, alive)


def recovery(run: str, since: float, struck: list[psutil.Process], alive: Callable[[], bool] = lambda: True) -> Strike:
    """Wait until the workers of a broken run are gone, and others have done a new step."""
    wait_until(lambda: not set(struck) & set(workers()), "its workers are gone", alive)
    at = max(steps_seen(run))
    again = at - newest_step(run)
    wait_until(lambda: max(steps_seen(run)) > at, f"it has continued after step {at}", alive)
    return Strike(at, again, time.monotonic() - since)


@contextmanager
def striking(run: str, after: int, do: Callable[[], object]) -> Iterator[list[Strike]]:
    """``strike`` while the block runs the job."""
    strikes: list[Strike] = []
    thread = threading.Thread(target=lambda: strikes.append(strike(run, after, do)))
    thread.start()
    yield strikes
    thread.join()
    assert strikes, "the run was not broken"


def put_into_table(fault: str, setting: str, outcome: str, strike: Strike) -> None:
    """See ``tests.faults``."""
    record(Fault(fault=fault, setting=setting, outcome=outcome, lost_steps=strike.again, recovery_seconds=strike.seconds))


def run_alone(config: RunConfig) -> str:
    """The folder of a run that one worker makes without Ray, and that nobody touches."""
    uri = f"sqlite:///{config.storage}/alone.db"
    Path(config.storage).mkdir(parents=True, exist_ok=True)
    setup = WorkerSetup(
        config=config,
        tracking_uri=uri,
        mlflow_run=start_run(uri, config.tracking.experiment, config.name),
    )
    multiprocessing.spawn(work, (1, setup, config.train.max_steps, config.storage), nprocs=1)
    return storage.join(config.storage, config.name)


def assert_as_unbroken(run: str, reference: str, tracking_uri: str, *, name: str, same_workers: bool = True, steps: int = STEPS) -> None:
    """The same samples in every step, the same end, one MLflow run with every point once."""
    assert read_ledger(storage.join(run, LEDGER_FOLDER)) == read_ledger(storage.join(reference, LEDGER_FOLDER))
    (folder, end), (expected_folder, expected) = (
        newest(run) or pytest.fail("no checkpoint"),
        newest(reference) or pytest.fail("no reference"),
    )
    assert (end.step, end.position, end.skipped) == (expected.step, expected.position, expected.skipped) == (steps, steps * 32, 0)
    losses = {name: value for name, value in expected.validation.items() if name.endswith("loss")}
    assert losses
    if same_workers:
        assert end.validation == expected.validation
        weights = read_weights(expected_folder)
        assert all(torch.equal(value, weights[name]) for name, value in read_weights(folder).items())
    else:
        assert {name: end.validation[name] for name in losses} == pytest.approx(losses, rel=TOLERANCE)
    assert_one_whole_curve(tracking_uri, name, steps)


def assert_one_whole_curve(tracking_uri: str, name: str, steps: int) -> None:
    """One run of this name, and every step is there, once."""
    client = open_client(tracking_uri)
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    (run,) = client.search_runs(experiments, f"attributes.run_name = '{name}'")
    for metric in ("train/loss", "perf/samples_per_second"):
        assert [point.step for point in client.get_metric_history(run.info.run_id, metric)] == list(range(1, steps + 1)), metric
    assert [point.step for point in client.get_metric_history(run.info.run_id, "val/itm_accuracy")] == list(range(15, steps + 1, 15))
    assert run.info.status == "FINISHED"


class Driver:
    """jobs/pretrain.py as a process of its own, in a process group of its own."""

    def __init__(self, options: list[str], log: Path, command: Sequence[str] = ("jobs/pretrain.py",), **environment: str) -> None:
        self._log = log
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_") or name.startswith("RAY_TRAIN")}
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *command, *options],
                cwd=REPOSITORY,
                env=inherited | {"PYTHONPATH": f"platform{os.pathsep}."} | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # A suite in the background of a shell ignores Ctrl-C, and so would all that it starts.
                preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
            )

    @property
    def alive(self) -> bool:
        """Whether it still runs; a run that broke is explained by its log."""
        return self.process.poll() is None

    @property
    def said(self) -> str:
        """All it and the drivers before it wrote into the log."""
        return self._log.read_text()

    def stop(self, number: signal.Signals, run: str) -> float:
        """Send a signal to its process group, as a terminal or a batch system does, and return the seconds until it has saved and ended."""
        children, told = psutil.Process(self.process.pid).children(recursive=True), time.monotonic()
        os.killpg(self.process.pid, number)
        assert self.wait() == 128 + number, self.said
        seconds = time.monotonic() - told
        assert f"Interrupted: run {Path(run).name!r} was asked to stop; the same command continues" in self.said
        assert not psutil.wait_procs(children, timeout=60)[1], "processes of the driver live on"
        assert newest_step(run) == max(steps_seen(run)), "steps are lost"
        assert '"released": true' in max(Path(run, "lease").iterdir()).read_text()
        return seconds

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(timeout=SECONDS)
