"""A worker that hangs says where; one that continues says nothing."""

import time
from pathlib import Path

import pytest

from scaleout.train.hooks.watchdog import Watchdog


def hang(seconds: float) -> None:
    time.sleep(seconds)


def test_a_hang_is_told_with_the_stacks(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file, Watchdog(0.1, file):
        hang(0.5)
    told = (tmp_path / "log").read_text()
    assert told.startswith("Timeout (0:00:00.1")
    assert "in hang" in told


@pytest.mark.parametrize("seconds", [0.0, 5.0])
def test_what_does_not_hang_is_not_told(tmp_path: Path, seconds: float) -> None:
    with (tmp_path / "log").open("w") as file, Watchdog(seconds, file) as watchdog:
        watchdog.step_ended()
    assert (tmp_path / "log").read_text() == ""


def test_the_end_of_a_step_makes_it_wait_anew_and_the_end_of_the_run_for_good(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as file:
        with Watchdog(1.0, file) as watchdog:
            hang(0.6)
            watchdog.step_ended()
            hang(0.6)
        hang(0.6)
    assert (tmp_path / "log").read_text() == ""
