"""DeepSpeed's communication for CPUs, and some of its optimisers, are C++ that the first process on a machine compiles, under a lock file.

A process that is killed meanwhile leaves the file, and torch makes every later process wait for it, silently and forever. So processes of
this project hold a lock of the kernel too, which ends with them, and remove a file that nobody can have left behind alive.
"""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any
from unittest.mock import patch

import psutil
from torch.utils.file_baton import FileBaton

from medvlp.errors import TrainingError

LONGEST_BUILD_SECONDS = 900.0
KERNEL_LOCK = "lock.held"

_QUIET_SECONDS = 20.0
"""A compilation that this machine cannot see, of another container or machine, changed a file in the folder since."""
_TELL_SECONDS = 10.0
_POLL_SECONDS = 0.5


@contextmanager
def survivable_builds(announce: Callable[[str], None]) -> Iterator[None]:
    """Compile extensions of torch in this block under ``BuildLock``; ``announce`` shows the user what is waited for."""
    from torch.utils import cpp_extension  # late: it imports setuptools

    with patch.object(cpp_extension, "FileBaton", partial(BuildLock, announce=announce)):
        yield


class BuildLock(FileBaton):
    """Torch's lock of one build folder, which outlives nobody who holds it."""

    def __init__(self, lock_file_path: str, announce: Callable[[str], None], **options: Any) -> None:
        super().__init__(lock_file_path, **options)
        self._announce = announce
        self._lock = Path(lock_file_path)
        self._folder = self._lock.parent.resolve()
        self._kernel_lock: IO[bytes] | None = None

    def try_acquire(self) -> bool:
        """Wait until nobody else compiles in the folder; return True, so that torch looks what is left to compile.

        Raises:
            TrainingError: somebody else takes longer than any compilation.
        """
        self._kernel_lock = (self._folder / KERNEL_LOCK).open("ab")
        self._wait_until(self._take_kernel_lock)
        self._wait_until(self._take_lock)
        return True

    def release(self) -> None:
        """Let the next process in."""
        super().release()
        if self._kernel_lock is not None:
            self._kernel_lock.close()

    def _take_kernel_lock(self) -> bool:
        assert self._kernel_lock is not None
        try:
            fcntl.flock(self._kernel_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # some network file systems have no such locks; torch's alone must do
            return True
        return True

    def _take_lock(self) -> bool:
        if super().try_acquire():
            return True
        if not self._is_in_use():
            self._announce(f"removes {self._lock}, left by a process that was killed while it compiled")
            self._lock.unlink(missing_ok=True)
        return False

    def _is_in_use(self) -> bool:
        """Return whether a compiler runs in the folder, or what is in it has just changed."""
        try:
            changed = max((path.stat().st_mtime for path in self._folder.iterdir()), default=0.0)
        except FileNotFoundError:  # a file has just gone
            return True
        return time.time() - changed < _QUIET_SECONDS or any(
            process.info["cwd"] == str(self._folder) for process in psutil.process_iter(["cwd"])
        )

    def _wait_until(self, done: Callable[[], bool]) -> None:
        began, told = time.monotonic(), False
        while not done():
            waited = time.monotonic() - began
            if waited > LONGEST_BUILD_SECONDS:
                long = f"has compiled in {self._folder} for {LONGEST_BUILD_SECONDS / 60:.0f} minutes"
                raise TrainingError(f"another process {long}; end it, or give this run a folder of its own: TORCH_EXTENSIONS_DIR")
            if waited > _TELL_SECONDS and not told:
                self._announce(f"waiting for another process that compiles in {self._folder}")
                told = True
            time.sleep(_POLL_SECONDS)
