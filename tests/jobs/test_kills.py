"""Runs whose processes are killed, stopped or hang: they go on from their last complete checkpoint and lose nothing."""

import os
import re
import signal
import threading
import time
from pathlib import Path

import psutil
import pytest
import ray

from jobs.pretrain import pretrain
from medvlp.errors import TrainingError
from scaleout.io import storage
from tests.jobs import chaos
from tests.jobs.chaos import LONG, STEPS, Driver
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos]

WHERE = "Ray, 2 workers, ZeRO 2"


@pytest.fixture(scope="module")
def unbroken(phantoms: Artefacts, runs: Path, ray_cluster: None) -> str:
    """The folder of a run that nobody touched."""
    pretrain(pretrain_config(phantoms, "unbroken", runs, *LONG))
    return str(runs / "unbroken")


def signal_last_worker(number: signal.Signals) -> None:
    os.kill(chaos.workers()[-1].pid, number)


def assert_cpus_are_free() -> None:
    chaos.wait_until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"], "all CPUs are free again")


def test_killed_workers_are_restarted_as_often_as_allowed(phantoms: Artefacts, runs: Path, unbroken: str) -> None:
    folder = str(runs / "workers-killed")
    config = pretrain_config(phantoms, "workers-killed", runs, *LONG, "--scale.max_failures", "0")

    def kill_once() -> None:
        chaos.wait_until(lambda: len(chaos.steps_seen(folder)) > 7, "seven steps are done")
        signal_last_worker(signal.SIGKILL)

    thread = threading.Thread(target=kill_once)
    thread.start()
    with pytest.raises(TrainingError, match=r"more often than scale\.max_failures 0 allows"):
        pretrain(config)
    thread.join()
    assert 5 <= chaos.newest_step(folder) < STEPS
    config = pretrain_config(phantoms, "workers-killed", runs, *LONG)
    with chaos.striking(folder, 17, lambda: signal_last_worker(signal.SIGKILL)) as strikes:
        outcome = pretrain(config)
    chaos.assert_as_unbroken(folder, unbroken, outcome.tracking_uri, name="workers-killed")
    assert_cpus_are_free()
    chaos.put_into_table("kill -9 of a worker in mid-step", WHERE, "the workers restart by themselves", strikes[0])


def test_a_worker_that_hangs_is_given_up_and_the_run_goes_on(phantoms: Artefacts, runs: Path, unbroken: str) -> None:
    folder, minutes = str(runs / "worker-hangs"), 0.25
    config = pretrain_config(phantoms, "worker-hangs", runs, *LONG, "--scale.collective_timeout_minutes", str(minutes))
    with chaos.striking(folder, 7, lambda: signal_last_worker(signal.SIGSTOP)) as strikes:
        outcome = pretrain(config)
    chaos.assert_as_unbroken(folder, unbroken, outcome.tracking_uri, name="worker-hangs")
    chaos.wait_until(lambda: not chaos.workers(), "the worker that hung is gone")
    assert_cpus_are_free()
    said = f"found after scale.collective_timeout_minutes ({minutes} here); the workers restart by themselves"
    chaos.put_into_table("a worker hangs (SIGSTOP)", WHERE, said, strikes[0])


@pytest.fixture
def remote(phantoms: Artefacts, s3: str) -> Artefacts:
    """The phantoms on S3."""
    copies = {name: storage.join(s3, "kills", name) for name in ("shards", "links", "knowledge")}
    for name, uri in copies.items():
        storage.upload_folder(Path(getattr(phantoms, name)), uri)
    return Artefacts(**copies)


def test_a_killed_driver_is_resumed_by_the_same_command_with_everything_on_s3(
    remote: Artefacts, s3: str, tmp_path: Path, unbroken: str
) -> None:
    runs = storage.join(s3, "kills", "runs")
    folder, store = storage.join(runs, "driver-killed"), f"sqlite:///{tmp_path}/mlflow.db"
    options, log = pretrain_options(remote, "driver-killed", runs, *LONG), tmp_path / "log"
    first = Driver(options, log, MLFLOW_TRACKING_URI=store)
    chaos.wait_until(lambda: chaos.newest_step(folder) > 0, "there is a checkpoint", lambda: first.alive)
    orphans = chaos.workers(first.process.pid)
    first.process.kill()
    first.wait()
    assert len(orphans) == 2
    assert not psutil.wait_procs(orphans, timeout=60)[1], "workers of the killed driver live on"
    step = chaos.newest_step(folder)
    assert step < STEPS
    done = max(steps_told(first.said))

    started = time.monotonic()
    second = Driver(options, log, MLFLOW_TRACKING_URI=store)
    chaos.wait_until(lambda: max(steps_told(second.said)) > done, f"it has continued after step {done}", lambda: second.alive)
    cost = chaos.Strike(done, done - step, time.monotonic() - started)
    assert second.wait() == 0, second.said
    assert f"continues from step {step}, sample {step * 32}" in second.said
    chaos.assert_as_unbroken(folder, unbroken, store, name="driver-killed")
    third = Driver(options, log, MLFLOW_TRACKING_URI=store)
    assert third.wait() == 0
    assert f"run 'driver-killed' has finished all {STEPS} steps: nothing to do" in third.said
    said = "the same command continues, after 20 s in which it looks whether the other one lives"
    chaos.put_into_table("kill -9 of the driver", f"{WHERE}, everything on S3", said, cost)


def steps_told(log: str) -> list[int]:
    """The steps that drivers told their users of."""
    return [int(step) for step in re.findall(rf"step (\d+)/{STEPS}: ", log)]


def test_a_driver_that_is_told_to_end_makes_a_checkpoint_first(phantoms: Artefacts, runs: Path, tmp_path: Path, unbroken: str) -> None:
    folder, options, log = str(runs / "driver-told"), pretrain_options(phantoms, "driver-told", runs, *LONG), tmp_path / "log"
    first = Driver(options, log)
    chaos.wait_until(lambda: len(chaos.steps_seen(folder)) > 7, "seven steps are done", lambda: first.alive)
    ended = first.stop(signal.SIGTERM, folder)
    assert chaos.newest_step(folder) < STEPS

    started = time.monotonic()
    second = Driver(options, log)
    cost = chaos.recovery(folder, started, [], lambda: second.alive)
    assert cost.again == 0
    assert second.wait() == 0, second.said
    chaos.assert_as_unbroken(folder, unbroken, f"sqlite:///{runs}/mlflow.db", name="driver-told")
    said = f"a checkpoint, then exit code 143, {ended:.0f} s after the signal; the same command continues"
    chaos.put_into_table("SIGTERM of the process group", WHERE, said, cost)
