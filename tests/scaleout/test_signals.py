"""Signals to stop: the first asks, repetitions of it are the same one, and a later one ends the process at once."""

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

_JOB = """
    import sys, time
    from pathlib import Path
    from scaleout.cli import run_job

    def job(*, begun: Path, ended: Path, seconds: float) -> None:
        try:
            begun.touch()
            time.sleep(60)
        finally:
            time.sleep(seconds)
            ended.touch()

    run_job(job)
"""


class Job:
    """A process that runs a job of a minute, which takes ``seconds`` to clean up."""

    def __init__(self, folder: Path, seconds: float = 0, ignored: signal.Signals | None = None) -> None:
        self.ended = folder / "ended"
        options = ["--begun", str(folder / "begun"), "--ended", str(self.ended), "--seconds", str(seconds)]

        def prepare() -> None:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN if number == ignored else signal.SIG_DFL)

        command = [sys.executable, "-c", textwrap.dedent(_JOB), *options]
        self.process = subprocess.Popen(command, cwd=REPOSITORY / "platform", stderr=subprocess.PIPE, text=True, preexec_fn=prepare)
        while not (folder / "begun").exists():
            assert self.process.poll() is None, self.process.stderr
            time.sleep(0.05)

    def wait(self) -> tuple[int, str]:
        """Its exit status and what it wrote to stderr."""
        error = self.process.communicate(timeout=60)[1]
        return self.process.returncode, error


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_cleans_up_and_is_named(number: signal.Signals, tmp_path: Path) -> None:
    job = Job(tmp_path)
    for _ in range(3):
        job.process.send_signal(number)
    assert job.wait() == (128 + number, f"Interrupted: {number.name} stopped this job; the same command continues\n")
    assert job.ended.exists()


def test_a_second_signal_ends_the_process_at_once(tmp_path: Path) -> None:
    job = Job(tmp_path, seconds=30)
    job.process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    job.process.send_signal(signal.SIGINT)
    since = time.monotonic()
    assert job.wait()[0] == -signal.SIGINT
    assert time.monotonic() - since < 10
    assert not job.ended.exists()


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    job = Job(tmp_path, ignored=signal.SIGHUP)
    job.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    assert job.process.poll() is None
    job.process.terminate()
    assert job.wait()[0] == 128 + signal.SIGTERM
