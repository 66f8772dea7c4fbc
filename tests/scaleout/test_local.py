"""A job on a Ray head of our own, submitted as to a cluster."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from functools import partial
from pathlib import Path

import pytest

from medvlp.errors import MedvlpError
from scaleout.local import head, main
from tests.conftest import REPOSITORY

# Writes its folder again and again, so that a test sees where it runs, and whether.
_ENDLESS_JOB = "import pathlib, sys, time\nwhile True: pathlib.Path(sys.argv[1]).write_text(str(pathlib.Path.cwd())); time.sleep(0.1)"


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cluster of the machine or of other tests is used."""
    for name in [name for name in os.environ if name.startswith("RAY_")]:
        monkeypatch.delenv(name)


def processes_naming(text: str) -> list[str]:
    """Command lines of the processes that mention ``text``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # ended meanwhile
    return [line for line in found if text in line]


def submit(*arguments: str, output: Path) -> "subprocess.Popen[bytes]":
    """``python -m scaleout.local submit`` in the repository, as a user types it."""
    command = [sys.executable, "-m", "scaleout.local", "submit", *arguments]
    environment = {**os.environ, "PYTHONPATH": "platform"}
    with output.open("wb") as log:
        # A suite in the background of a shell ignores Ctrl-C, and so would all that it starts.
        interruptible = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
        return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=log, stderr=log, preexec_fn=interruptible)


def wait_for(condition: Path, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition.exists():
        assert time.monotonic() < deadline, f"{condition} did not appear"
        time.sleep(0.1)


def test_a_job_runs_in_a_snapshot_with_this_python_and_gives_its_exit_status(tmp_path: Path) -> None:
    report = tmp_path / "report"
    script = (
        "import pathlib, platform, sys, medvlp, scaleout\n"
        "report = [sys.executable, platform.system(), *(str(pathlib.Path(m.__file__).resolve()) for m in (medvlp, scaleout))]\n"
        "pathlib.Path(sys.argv[1]).write_text('\\n'.join(report))\n"
        "print('the job speaks')\n"
        "sys.exit(7)"
    )
    job = submit("--name", "test", "--", "python", "-c", script, str(report), output=tmp_path / "log")
    assert job.wait(180) == 7
    log = (tmp_path / "log").read_text()
    assert "the job speaks" in log
    executable, system, *modules = report.read_text().splitlines()
    assert (executable, system) == (sys.executable, "Linux")
    kept = log.rpartition("kept in ")[2].strip()
    assert all(module.startswith(kept) for module in modules), "the code does not come from the snapshot"
    assert not processes_naming(kept)
    assert list(Path(kept).glob("session_*/logs"))
    shutil.rmtree(kept)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_submission_ends_job_and_head(number: signal.Signals, tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    submission = submit("--", "python", "-c", _ENDLESS_JOB, str(alive), output=tmp_path / "log")
    wait_for(alive)
    folder = Path(alive.read_text()).parents[3]
    assert processes_naming(str(folder))
    submission.send_signal(number)
    killed = number is signal.SIGKILL
    assert submission.wait(60) == (-number if killed else 128 + number)
    assert folder.exists() == killed
    time.sleep(10 if killed else 3)  # Ray looks once a second whether a job's supervisor lives
    assert not processes_naming(str(folder))
    assert not processes_naming(str(alive))
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_a_named_cluster_is_used_with_its_token_and_no_head_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with head() as other:
        assert other.address.startswith("127.0.0.1:")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{other.dashboard}/api/jobs/", timeout=5)
        for name in ("RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN"):
            monkeypatch.setenv(name, other.environment[name])
        submission = submit("--", "python", "-c", "pass", output=tmp_path / "log")
        assert submission.wait(120) == 0
        jobs = other.get("/api/jobs/")
    assert [job["status"] for job in jobs] == ["SUCCEEDED"]
    assert not processes_naming(str(other.folder))
    assert not other.folder.exists()


def test_a_head_that_cannot_start_says_where_to_look() -> None:
    with pytest.raises(MedvlpError, match=r"see /tmp/medvlp-.*head\.log") as caught, head(start_seconds=0):
        pytest.fail("it cannot have started")
    log = Path(re.search(r"/tmp/medvlp-\w+", str(caught.value)).group())
    assert log.is_dir()
    shutil.rmtree(log)


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["submit", "--name", "x"])
    assert "command to submit is missing" in capsys.readouterr().err
