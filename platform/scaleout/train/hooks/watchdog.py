"""Show where a run hangs: if no step ends for a while, write the stack traces of all threads to the worker's log."""

import faulthandler
import sys
from typing import IO


class Watchdog:
    """Watches one worker inside the context. It only reports; a hanging worker may still recover."""

    def __init__(self, seconds: float, file: IO[str] | None = None):
        """Report every ``seconds`` without the end of a step; 0 never reports. ``file`` must have a file descriptor."""
        self._seconds = seconds
        self._file = file or sys.__stderr__

    def __enter__(self) -> "Watchdog":
        self.step_ended()
        return self

    def __exit__(self, *exception: object) -> None:
        faulthandler.cancel_dump_traceback_later()

    def step_ended(self) -> None:
        """Restart the timer."""
        if self._seconds and self._file is not None:
            # A C thread: it also reports a worker that holds the GIL.
            faulthandler.dump_traceback_later(self._seconds, repeat=True, file=self._file)
