"""A run whose process group gets a signal, direct or submitted: it saves first, leaves no process, and the same command continues."""

import signal
import time
from pathlib import Path

import pytest

from scaleout.tracking.runs import open_client
from tests.jobs import chaos
from tests.jobs.chaos import Driver
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

pytestmark = [pytest.mark.ray, pytest.mark.chaos, pytest.mark.verify]

DIRECT = ("Ray, 2 workers, ZeRO 2", ("jobs/pretrain.py",))
SUBMITTED = (
    "scaleout.local submit, 2 workers, ZeRO 2",
    ("-m", "scaleout.local", "submit", "--cpus", "3", "--", "python", "jobs/pretrain.py"),
)
STOPS = [
    ("Ctrl-C (SIGINT of the process group)", signal.SIGINT, DIRECT),
    ("a closed terminal (SIGHUP of the process group)", signal.SIGHUP, DIRECT),
    ("SIGTERM of the process group", signal.SIGTERM, SUBMITTED),
    ("Ctrl-C (SIGINT of the process group)", signal.SIGINT, SUBMITTED),
]
STEPS = 90
"""Enough for a quiet machine to be stopped four times."""
OPTIONS = [*chaos.LONG, "--train.max_steps", str(STEPS)]


@pytest.mark.timeout(1200)
def test_a_run_that_is_stopped_again_and_again_ends_like_an_unbroken_one(phantoms: Artefacts, tmp_path: Path) -> None:
    unbroken = chaos.run_alone(pretrain_config(phantoms, "alone", tmp_path, *OPTIONS))
    options, log = pretrain_options(phantoms, "stopped", tmp_path / "runs", *OPTIONS), tmp_path / "log"
    folder, store = str(tmp_path / "runs" / "stopped"), f"sqlite:///{tmp_path}/runs/mlflow.db"
    commands = [command for _, _, (_, command) in STOPS]
    driver = Driver(options, log, commands[0])
    for (fault, number, (where, _)), command in zip(STOPS, [*commands[1:], DIRECT[1]], strict=True):
        done = max(chaos.steps_seen(folder), default=0)
        chaos.wait_until(lambda: max(chaos.steps_seen(folder), default=0) > done + 6, "six more steps are done", lambda: driver.alive)  # noqa: B023
        seconds = driver.stop(number, folder)
        (run,) = open_client(store).search_runs(["1"], "attributes.run_name = 'stopped'")
        assert run.info.status == "KILLED"
        since = time.monotonic()
        driver = Driver(options, log, command)
        cost = chaos.recovery(folder, since, [], lambda: driver.alive)  # noqa: B023
        assert cost.at < STEPS
        assert cost.again == 0
        said = f"a checkpoint, then exit code {128 + number}, {seconds:.0f} s after the signal; the same command continues"
        chaos.put_into_table(fault, where, said, cost)
    assert driver.wait() == 0, driver.said
    chaos.assert_as_unbroken(folder, unbroken, store, name="stopped", same_workers=False, steps=STEPS)
