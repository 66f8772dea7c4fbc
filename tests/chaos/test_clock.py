"""A clock that jumps: checkpoints, the order of samples, steps on the curves and a resume depend on none."""

import os
import random
import time
from pathlib import Path

import pytest

from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from tests.chaos.runs import At, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.faults import Fault, record
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

DAY = 86_400


class JumpingClock:
    """In place of the wall clock of this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._true, self._ahead = time.time, 0.0
        monkeypatch.setattr(time, "time", lambda: self._true() + self._ahead)
        monkeypatch.setattr(time, "time_ns", lambda: int((self._true() + self._ahead) * 1e9))

    def jump(self, days: float) -> None:
        """Ahead, or back."""
        self._ahead += days * DAY


@pytest.mark.parametrize(("days", "fault"), [(400.0, "forwards by 400 days"), (-400.0, "back by 400 days")])
def test_a_jump_changes_nothing(config: RunConfig, unbroken: Left, monkeypatch: pytest.MonkeyPatch, days: float, fault: str) -> None:
    clock = JumpingClock(monkeypatch)
    stopped = TinyRun(config, trackers=[At({3: lambda: clock.jump(days)})])
    stopped.run(stop_at=8)
    assert stopped.store.newest()[1].step == 8, "the newest by steps, whatever the dates of the files"
    clock.jump(-2 * days)
    resumed = resume(config, trackers=[At({10: lambda: clock.jump(days)})])
    assert resumed.lost_steps == 0
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    record(
        Fault(
            fault=f"the clock jumps {fault}, and the other way between two starts",
            setting="loop without Ray, local disk",
            outcome="nothing changes",
            lost_steps=0,
            recovery_seconds=None,
        )
    )


def test_dates_of_checkpoint_files_mean_nothing(config: RunConfig, unbroken: Left) -> None:
    stopped = TinyRun(config)
    stopped.run(stop_at=8)
    for path in Path(run_folder(config)).rglob("*"):
        when = random.Random(path.name).uniform(0, 2e9)
        os.utime(path, (when, when))
    assert TinyRun(config).progress.step == 8
    resume(config)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
