"""When the next checkpoint is due by time."""

import time

from scaleout.engine.process_group import ProcessGroup


class CheckpointClock:
    """Counts from the last checkpoint, or from the start of these workers. A wall clock that jumps does not move it."""

    def __init__(self, minutes: float, processes: ProcessGroup):
        """``minutes`` between two checkpoints; 0 is never."""
        self._seconds, self._processes = 60 * minutes, processes
        self._since = time.monotonic()

    def is_due(self) -> bool:
        """Whether the time is over, by the first worker's clock. Called by all workers together."""
        return bool(self._seconds) and self._processes.gather(time.monotonic() - self._since >= self._seconds)[0]

    def restart(self) -> None:
        """A checkpoint was made."""
        self._since = time.monotonic()
