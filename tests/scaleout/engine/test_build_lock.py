"""The lock of a compilation, held and left by real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from torch.utils import cpp_extension

from medvlp.errors import TrainingError
from scaleout.engine import build_lock
from scaleout.engine.build_lock import BuildLock, survivable_builds
from tests.faults import Fault, record

_BUILD = """
import sys
from torch.utils.cpp_extension import load
from scaleout.engine.build_lock import survivable_builds
with survivable_builds(lambda text: print(text, flush=True)):
    print(load("tiny", [sys.argv[1] + "/tiny.cpp"], build_directory=sys.argv[1], is_python_module=False), flush=True)
"""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience of a test."""
    monkeypatch.setattr(build_lock, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(build_lock, "_TELL_SECONDS", 0.0)
    monkeypatch.setattr(build_lock, "_POLL_SECONDS", 0.05)


def compiler(folder: Path) -> Path:
    """A C++ compiler that waits as long as there is a file named slow."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\ncase "$*" in *-c*) while [ -e {folder}/slow ]; do sleep 0.1; done;; esac\nexec c++ "$@"\n')
    path.chmod(0o755)
    return path


def build(folder: Path) -> "subprocess.Popen[str]":
    """Compile a tiny extension in a process of its own."""
    (folder / "tiny.cpp").write_text("int tiny() { return 1; }\n")
    environment = {**os.environ, "CXX": str(compiler(folder)), "PYTHONPATH": "platform:."}
    return subprocess.Popen([sys.executable, "-c", _BUILD, str(folder)], env=environment, stdout=subprocess.PIPE, text=True)


def compiles(parent: int) -> bool:
    """Whether the compiler works for a process, or below it."""
    commands: list[list[str]] = []
    for child in psutil.Process(parent).children(recursive=True):
        with suppress(psutil.Error):  # ended meanwhile
            commands.append(child.cmdline())
    return any(any(word.endswith("/compiler") for word in command) and "-c" in command for command in commands)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def killed(tmp_path: Path) -> Iterator[Path]:
    """A folder in which a process was killed, with its compiler, while it compiled."""
    (tmp_path / "slow").touch()
    first = build(tmp_path)
    wait_for(lambda: compiles(first.pid))
    compilers = psutil.Process(first.pid).children(recursive=True)
    for process in [first, *compilers]:
        process.send_signal(signal.SIGKILL)
    first.wait(), psutil.wait_procs(compilers, timeout=10)
    assert (tmp_path / "lock").exists()
    (tmp_path / "slow").unlink()
    return tmp_path


@pytest.mark.chaos
def test_the_lock_of_a_killed_compilation_is_removed(killed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", str(compiler(killed)))
    said: list[str] = []
    since = time.monotonic()
    with survivable_builds(said.append):
        cpp_extension.load("tiny", [str(killed / "tiny.cpp")], build_directory=str(killed), is_python_module=False)
    assert (killed / "tiny.so").exists()
    assert not (killed / "lock").exists()
    assert [line for line in said if "left by a process that was killed while it compiled" in line]
    setting, outcome = (
        "an extension of torch, as DeepSpeed's communication is one",
        "the lock that it left is removed, and the next compiles",
    )
    fault, seconds = "kill -9 of a process that compiles, and of its compiler", time.monotonic() - since
    record(Fault(fault=fault, setting=setting, outcome=outcome, lost_steps=0, recovery_seconds=seconds))


def test_a_living_compilation_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow").touch()
    first = build(tmp_path)
    wait_for((tmp_path / "lock").exists)
    said: list[str] = []

    def announce(text: str) -> None:
        said.append(text)
        (tmp_path / "slow").unlink()

    lock = BuildLock(str(tmp_path / "lock"), announce)
    assert lock.try_acquire()
    lock.release()
    assert said == [f"waiting for another process that compiles in {tmp_path}"]
    assert first.wait(60) == 0
    assert (tmp_path / "tiny.so").exists()


def test_a_compiler_that_lost_its_python_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two compilers at once would write the same file."""
    (tmp_path / "lock").touch()
    orphan = subprocess.Popen(["sleep", "60"], cwd=tmp_path)
    monkeypatch.setattr(build_lock, "LONGEST_BUILD_SECONDS", 0.5)
    with pytest.raises(TrainingError, match=f"another process has compiled in {tmp_path}.*TORCH_EXTENSIONS_DIR"):
        BuildLock(str(tmp_path / "lock"), print).try_acquire()
    orphan.kill()
    orphan.wait()
    lock = BuildLock(str(tmp_path / "lock"), print)
    assert lock.try_acquire()
    lock.release()
