"""What a start spends its time on, from the driver's first line to the end of the first step."""

import time
from dataclasses import dataclass, field


@dataclass
class StartTimes:
    """The parts of a start in seconds, one after the other, by the wall clock: they pass in several processes."""

    begun: float = field(default_factory=time.time)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.parts.values())

    def end_part(self, name: str) -> None:
        """The part that began when the one before ended, ends now."""
        self.parts[name] = time.time() - self.begun - self.total

    def describe(self) -> str:
        """One line for the user."""
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.parts.items())
        return f"the first step ended {self.total:.1f} s after the start ({parts})"
