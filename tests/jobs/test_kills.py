"""A run that is killed without warning, its driver or a worker, goes on from its last complete checkpoint and loses nothing."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import ray
from mlflow import MlflowClient

from jobs.pretrain import pretrain
from medvlp.errors import TrainingError
from scaleout import storage
from scaleout.tracking.runs import open_client
from scaleout.train.checkpoint import CheckpointStore
from tests.conftest import REPOSITORY
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

STEPS = 40
LONG = ["--train.max_steps", str(STEPS), "--train.checkpoint_every", "5", "--train.validate_every", "20", "--tracking.pictures", "false"]
LOGGED = list(range(2, STEPS + 1, 2))
SECONDS = 300


def newest_step(run: str) -> int:
    """Step of the newest complete checkpoint of a run; 0 if there is none."""
    newest = CheckpointStore(storage.join(run, "checkpoints"), keep=2).newest()
    return newest[1].step if newest else 0


def wait_for_checkpoint(run: str, after: int, alive: Callable[[], bool] = lambda: True) -> int:
    """Wait until the run has a checkpoint behind step ``after``; returns its step."""
    deadline = time.monotonic() + SECONDS
    while (step := newest_step(run)) <= after:
        assert time.monotonic() < deadline, "no checkpoint was made"
        assert alive(), "the run ended without one"
        time.sleep(0.2)
    return step


def assert_one_whole_curve(client: MlflowClient, run_id: str) -> None:
    """Every step is there, once."""
    for name in ("train/loss", "perf/samples_per_second"):
        assert [point.step for point in client.get_metric_history(run_id, name)] == LOGGED
    assert [point.step for point in client.get_metric_history(run_id, "val/itm_accuracy")] == [20, 40]
    assert client.get_run(run_id).info.status == "FINISHED"


def workers(driver: int | None = None) -> list[psutil.Process]:
    """Ray Train's workers among the processes that a driver's own Ray started; by default the session's."""
    return [process for process in psutil.Process(driver).children(recursive=True) if process.name().startswith("ray::RayTrainWo")]


@contextmanager
def worker_killed(run: str, after: int) -> Iterator[list[int]]:
    """Kill a worker at once when the run has a checkpoint behind step ``after``; gives that step."""
    killed: list[int] = []

    def kill() -> None:
        step = wait_for_checkpoint(run, after)
        os.kill(workers()[-1].pid, signal.SIGKILL)
        killed.append(step)

    thread = threading.Thread(target=kill)
    thread.start()
    yield killed
    thread.join()


def test_killed_workers_are_restarted_as_often_as_allowed(phantoms: Artefacts, runs: Path, ray_cluster: None) -> None:
    folder = str(runs / "workers-killed")
    config = pretrain_config(phantoms, "workers-killed", runs, *LONG, "--scale.max_failures", "0")
    with worker_killed(folder, after=0) as first, pytest.raises(TrainingError, match=r"more often than scale\.max_failures 0 allows"):
        pretrain(config)
    assert first[0] <= newest_step(folder) < STEPS
    config = pretrain_config(phantoms, "workers-killed", runs, *LONG)
    with worker_killed(folder, after=newest_step(folder)) as second:
        outcome = pretrain(config)
    assert first[0] < second[0] < newest_step(folder) == STEPS
    assert_one_whole_curve(open_client(outcome.tracking_uri), outcome.mlflow_run)
    deadline = time.monotonic() + 30
    while ray.available_resources().get("CPU") != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, "a killed worker's CPUs stay reserved"
        time.sleep(0.5)


@pytest.fixture
def remote(phantoms: Artefacts, s3: str) -> Artefacts:
    """The phantoms on S3."""
    copies = {name: storage.join(s3, "kills", name) for name in ("shards", "links", "knowledge")}
    for name, uri in copies.items():
        storage.upload_folder(Path(getattr(phantoms, name)), uri)
    return Artefacts(**copies)


def test_a_killed_driver_is_resumed_by_the_same_command_with_everything_on_s3(remote: Artefacts, s3: str, tmp_path: Path) -> None:
    runs = storage.join(s3, "kills", "runs")
    folder, store = storage.join(runs, "driver-killed"), f"sqlite:///{tmp_path}/mlflow.db"
    command = [sys.executable, "jobs/pretrain.py", *pretrain_options(remote, "driver-killed", runs, *LONG)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment |= {"PYTHONPATH": f"platform{os.pathsep}.", "MLFLOW_TRACKING_URI": store}
    log = tmp_path / "log"
    with log.open("wb") as output:
        first = subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=output, stderr=output)
    wait_for_checkpoint(folder, 0, alive=lambda: first.poll() is None)
    orphans = workers(first.pid)
    first.kill()
    first.wait()
    assert len(orphans) == 2
    assert not psutil.wait_procs(orphans, timeout=60)[1], "workers of the killed driver live on"
    step = newest_step(folder)
    assert step < STEPS

    second = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert second.returncode == 0, second.stderr
    assert f"continues from step {step}, sample {step * 32}" in second.stderr
    assert newest_step(folder) == STEPS
    client = open_client(store)
    (experiment,) = [each for each in client.search_experiments() if each.name == "medvlp"]
    (run,) = client.search_runs([experiment.experiment_id])
    assert_one_whole_curve(client, run.info.run_id)
    third = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert "run 'driver-killed' has finished all 40 steps: nothing to do" in third.stderr
