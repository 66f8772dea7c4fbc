"""The clock that schedules checkpoints by time."""

import time

from scaleout.engine.process_group import ProcessGroup


class CheckpointClock:
    """Measures the time since the last checkpoint, or since the start of these workers, independent of wall-clock changes."""

    def __init__(self, minutes: float, processes: ProcessGroup):
        """Start a clock with ``minutes`` between two checkpoints; 0 disables it."""
        self._seconds, self._processes = 60 * minutes, processes
        self._since = time.monotonic()

    def is_due(self) -> bool:
        """Return whether a checkpoint is due by the first worker's clock. Called by all workers together."""
        return bool(self._seconds) and self._processes.gather(time.monotonic() - self._since >= self._seconds)[0]

    def restart(self) -> None:
        """Restart the clock after a checkpoint."""
        self._since = time.monotonic()
