"""Shows where a run hangs: when no step ends for a while, the stacks of all threads go to the worker's log."""

import faulthandler
import sys
from typing import IO


class Watchdog:
    """Watches one worker while it is entered. It only reports; what has hung may still go on."""

    def __init__(self, seconds: float, file: IO[str] | None = None):
        """``seconds`` without the end of a step are reported, again and again; 0 is never. ``file`` has a descriptor."""
        self._seconds = seconds
        self._file = file or sys.__stderr__

    def __enter__(self) -> "Watchdog":
        self.step_ended()
        return self

    def __exit__(self, *exception: object) -> None:
        faulthandler.cancel_dump_traceback_later()

    def step_ended(self) -> None:
        """Start to wait again."""
        if self._seconds and self._file is not None:
            # A thread in C: it also sees a worker that holds Python's lock.
            faulthandler.dump_traceback_later(self._seconds, repeat=True, file=self._file)
