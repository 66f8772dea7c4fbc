"""DeepSpeed's communication for CPUs is C++ that the first process on a machine compiles, under a lock file.

A process that is killed meanwhile leaves the file, and torch makes every later process wait for it, silently and forever.
"""

import os
import time
from pathlib import Path

from medvlp.errors import TrainingError

LONGEST_BUILD_SECONDS = 900


def refuse_stale_lock() -> None:
    """Report which file to delete, instead of waiting for a dead process.

    Raises:
        TrainingError: a lock is older than the longest compilation.
    """
    from torch.utils.cpp_extension import get_default_build_root  # late: it imports setuptools, and drivers import this module

    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    for lock in root.glob("**/deepspeed_*/lock"):
        if time.time() - lock.stat().st_mtime > LONGEST_BUILD_SECONDS:
            raise TrainingError(f"{lock} was left by a process that was killed while compiling, and blocks this run: delete it")
