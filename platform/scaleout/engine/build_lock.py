"""DeepSpeed's communication for CPUs is C++ that the first process on a machine compiles, under a lock file.

A process that is killed meanwhile leaves the file, and torch lets every later one wait for it, for ever and without a word.
"""

import os
import time
from pathlib import Path

from medvlp.errors import TrainingError

LONGEST_BUILD_SECONDS = 900


def refuse_stale_lock() -> None:
    """Say which file to delete, rather than wait for a process that is gone.

    Raises:
        TrainingError: a lock is older than any compilation takes.
    """
    from torch.utils.cpp_extension import get_default_build_root  # late: it takes setuptools along, and drivers import this module

    root = Path(os.environ.get("TORCH_EXTENSIONS_DIR") or get_default_build_root())
    for lock in root.glob("**/deepspeed_*/lock"):
        if time.time() - lock.stat().st_mtime > LONGEST_BUILD_SECONDS:
            raise TrainingError(f"{lock} was left by a process that was killed while it compiled, and would be waited for: delete it")
