"""A lock that nobody holds any more is named, not waited for."""

import os
import time
from pathlib import Path

import pytest

from medvlp.errors import TrainingError
from scaleout.engine.build_lock import LONGEST_BUILD_SECONDS, refuse_stale_lock


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock of a compilation that has just begun."""
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path))
    path = tmp_path / "py311_cpu" / "deepspeed_shm_comm" / "lock"
    path.parent.mkdir(parents=True)
    path.touch()
    return path


def test_a_compilation_may_take_its_time(lock: Path) -> None:
    refuse_stale_lock()


def test_a_stale_lock_is_named(lock: Path) -> None:
    long_ago = time.time() - LONGEST_BUILD_SECONDS - 1
    os.utime(lock, (long_ago, long_ago))
    with pytest.raises(TrainingError, match=f"{lock}.*delete it"):
        refuse_stale_lock()


def test_nothing_compiled_yet_is_fine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_EXTENSIONS_DIR", str(tmp_path / "absent"))
    refuse_stale_lock()
