"""Report when the loss leaves its recent range; nothing else changes."""

from collections import deque
from statistics import median

RECENT, FEWEST = 50, 10
"""Maximum and minimum number of points to compare a new one with."""
FAR = 8.0
"""Number of typical deviations above the median that counts as a spike."""
LEAST_DEVIATION = 0.005
"""Smallest deviation, relative to the median: otherwise every small change of a constant loss would be a spike."""


class SpikeReport:
    """The recent points of one curve; a restarted worker starts without any."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=RECENT)

    def look(self, loss: float) -> float | None:
        """Add a point. For a spike, return its distance above the median of the earlier points, in typical deviations."""
        before = list(self._recent)
        self._recent.append(loss)
        if len(before) < FEWEST:
            return None
        middle = median(before)
        # Equals the standard deviation if the points are normally distributed, and is robust to spikes.
        deviation = max(1.4826 * median(abs(value - middle) for value in before), LEAST_DEVIATION * abs(middle))
        above = (loss - middle) / deviation if deviation else 0.0
        return above if above > FAR else None
