"""A submitted job that is stopped, or whose driver or supervisor is killed: the same command continues under another job."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from scaleout.local import Head, head
from tests.conftest import REPOSITORY
from tests.jobs import chaos
from tests.jobs.tiny import RECIPE, Artefacts, pretrain_config, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.verify]

WHERE = "submitted job, 2 workers, ZeRO 2"
STEPS = 90
"""Enough for a quiet machine to be struck three times."""
OPTIONS = [*chaos.LONG, "--train.max_steps", str(STEPS)]


def ray_job(started: Head, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ray.scripts.scripts", "job", *arguments]
    return subprocess.run(command, cwd=REPOSITORY, env=dict(started.environment), capture_output=True, text=True, timeout=chaos.SECONDS)


def process_named(start: str) -> psutil.Process:
    """The newest process below this one with a word of its command line that starts so.

    Not one that holds it anywhere: Ray's shell has the whole command in one word, may be as old as the driver to the tick of the
    clock, and leaves the driver running when it is killed.
    """
    found = [child for child in psutil.Process().children(recursive=True) if any(word.startswith(start) for word in child.cmdline())]
    return max(found, key=lambda child: child.create_time())


def kill_driver() -> None:
    process_named("jobs/pretrain.py").kill()


def kill_supervisor() -> None:
    os.kill(process_named("ray::JobSupervisor").pid, signal.SIGKILL)


def test_a_job_that_is_broken_goes_on_when_it_is_submitted_again(phantoms: Artefacts, tmp_path: Path) -> None:
    unbroken = chaos.run_alone(pretrain_config(phantoms, "alone", tmp_path, *OPTIONS))
    options = pretrain_options(phantoms, "submitted", tmp_path / "runs", *OPTIONS)
    options[options.index(str(RECIPE))] = str(RECIPE.relative_to(REPOSITORY))  # from the snapshot
    folder = str(tmp_path / "runs" / "submitted")
    with head(cpus=3) as started:

        def submit(job: str) -> subprocess.CompletedProcess[str]:
            submission = ["--submission-id", job, "--working-dir=.", "--runtime-env=runtime_env.yaml", "--no-wait"]
            return ray_job(started, "submit", *submission, "--", "python", "jobs/pretrain.py", *options)

        faults = [
            ("ray job stop", lambda: ray_job(started, "stop", "job-0"), True),
            ("kill -9 of the job's driver", kill_driver, False),
            ("kill -9 of the job's supervisor", kill_supervisor, False),
        ]
        assert submit("job-0").returncode == 0
        for number, (fault, do, saves_first) in enumerate(faults):
            done = max(chaos.steps_seen(folder), default=0)
            chaos.wait_until(lambda: max(chaos.steps_seen(folder), default=0) > done + 6, "six more steps are done")  # noqa: B023
            struck = chaos.workers()
            do()
            chaos.wait_until(lambda: not set(struck) & set(chaos.workers()), "the workers are gone")  # noqa: B023
            since = time.monotonic()
            assert submit(f"job-{number + 1}").returncode == 0
            cost = chaos.recovery(folder, since, [])
            assert cost.at < STEPS
            assert not (saves_first and cost.again), "steps are lost"
            outcome = "a checkpoint first; submit the same command again" if saves_first else "submit the same command again"
            chaos.put_into_table(fault, WHERE, outcome, cost)
        chaos.wait_until(lambda: chaos.newest_step(folder) == STEPS and not chaos.workers(), "the last job has ended")
        chaos.wait_until(lambda: "SUCCEEDED" in ray_job(started, "status", "job-3").stdout.upper(), "the last job has succeeded")
    store = f"sqlite:///{tmp_path}/runs/mlflow.db"
    chaos.assert_as_unbroken(folder, unbroken, store, name="submitted", same_workers=False, steps=STEPS)
