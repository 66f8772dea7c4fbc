"""Several runs under one name: one trains, the others are refused, and who was killed blocks nobody."""

import multiprocessing
import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError, TrainingError
from scaleout.checkpoint.lease import Pace, hold
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from tests.chaos.runs import At, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.faults import Fault, record
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

PACE = Pace(beat=0.2, patience=3.0)
SETTING = "loop without Ray, local disk"
SECONDS = 120


def wait_for(path: Path) -> None:
    """Until somebody has written it."""
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.05)


def train_if_alone(config: RunConfig, outcomes: Path, name: str, other: str) -> None:
    """A process of its own: who gets the name does not end before the other one has been refused."""
    try:
        with hold(run_folder(config), PACE) as lease:
            TinyRun(config, lease=lease, trackers=[At({2: lambda: wait_for(outcomes / other)})]).run()
        said = "trained"
    except ConfigurationError as error:
        said = str(error)
    (outcomes / name).write_text(said)


def train_until_killed(config: RunConfig) -> None:
    """A process of its own, killed without warning when the fifth step is done."""
    with hold(run_folder(config), PACE) as lease:
        TinyRun(config, lease=lease, trackers=[At({5: lambda: os.kill(os.getpid(), signal.SIGKILL)})]).run()


def test_of_two_started_at_once_one_trains(config: RunConfig, unbroken: Left, tmp_path: Path) -> None:
    outcomes, spawn = tmp_path / "outcomes", multiprocessing.get_context("spawn")
    outcomes.mkdir()
    pair = [spawn.Process(target=train_if_alone, args=(config, outcomes, *names)) for names in (("a", "b"), ("b", "a"))]
    for process in pair:
        process.start()
    for process in pair:
        process.join(SECONDS)
        assert process.exitcode == 0
    said = {process.pid: (outcomes / name).read_text() for process, name in zip(pair, "ab", strict=True)}
    trained, refused = sorted(said, key=lambda pid: said[pid] != "trained")
    assert said[trained] == "trained"
    assert f"is being trained by process {trained} on " in said[refused]
    assert "wait for its end, stop it, or choose another --name" in said[refused]
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    outcome = "one trains; the other is refused and told host, process and since when"
    record(
        Fault(fault="two runs are started under one name at once", setting=SETTING, outcome=outcome, lost_steps=0, recovery_seconds=None)
    )


def test_a_killed_run_blocks_the_next_start_only_until_it_is_known_to_be_dead(config: RunConfig, unbroken: Left) -> None:
    process = multiprocessing.get_context("spawn").Process(target=train_until_killed, args=(config,))
    process.start()
    process.join(SECONDS)
    assert process.exitcode == -signal.SIGKILL
    started = time.monotonic()
    with hold(run_folder(config), PACE) as lease:
        waited = time.monotonic() - started
        assert waited >= PACE.patience
        resumed = resume(config, lease=lease)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault="kill -9 of the process that holds the name",
            setting=SETTING,
            outcome=f"the same command continues after {Pace().patience:.0f} s (here {PACE.patience:.0f} s) without a heartbeat",
            lost_steps=resumed.lost_steps,
            recovery_seconds=waited + resumed.seconds,
        )
    )


def test_a_run_that_was_taken_for_dead_writes_no_other_checkpoint(config: RunConfig, unbroken: Left) -> None:
    never = Pace(beat=1e6, patience=1.0)
    with ExitStack() as stack:
        first = stack.enter_context(hold(run_folder(config), never))
        others = []
        displaced = TinyRun(
            config, lease=first, trackers=[At({5: lambda: others.append(stack.enter_context(hold(run_folder(config), PACE)))})]
        )
        with pytest.raises(TrainingError, match=r"was taken by process \d+ on .* while this run sent no heartbeat"):
            displaced.run()
        assert displaced.store.newest()[1].step == 4, "step 6 belongs to the other one"
        resumed = resume(config, lease=others[0])
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault="a run that sends no heartbeat is displaced, and wakes up",
            setting=SETTING,
            outcome="the displaced one stops at its next checkpoint, which it does not write; the other one continues",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )
