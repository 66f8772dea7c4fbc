"""The time that a start takes, in parts, from the driver's first line to the end of the first step."""

import time
from dataclasses import dataclass, field


@dataclass
class StartTimes:
    """The consecutive parts of a start in seconds, by the wall clock, because they are spread over several processes."""

    begun: float = field(default_factory=time.time)
    parts: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        """Return the seconds of all parts."""
        return sum(self.parts.values())

    def end_part(self, name: str) -> None:
        """End the part that began when the previous one ended."""
        self.parts[name] = time.time() - self.begun - self.total

    def describe(self) -> str:
        """Return one line for the user."""
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.parts.items())
        return f"the first step ended {self.total:.1f} s after the start ({parts})"
