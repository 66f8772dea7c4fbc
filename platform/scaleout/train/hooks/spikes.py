"""Notices when the loss leaves its recent range. It only reports."""

from collections import deque
from statistics import median

RECENT, FEWEST = 50, 10
"""Points that a new one is compared with, at most and at least."""
FAR = 8.0
"""Typical deviations above the median that make a spike."""
LEAST_DEVIATION = 0.005
"""Of the median: a loss that hardly moves would make a spike of every breath."""


class SpikeReport:
    """The recent points of one curve; a restarted worker starts again without any."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)

    def look(self, loss: float) -> float | None:
        """Add a point. If it is a spike, how many typical deviations it lies above the median of those before."""
        before = list(self._recent)
        self._recent.append(loss)
        if len(before) < FEWEST:
            return None
        middle = median(before)
        # As much as a standard deviation, if the points are normally distributed; spikes among them hardly move it.
        deviation = max(1.4826 * median(abs(value - middle) for value in before), LEAST_DEVIATION * abs(middle))
        above = (loss - middle) / deviation if deviation else 0.0
        return above if above > FAR else None
