"""Connect the workers of a trial with Ray Tune: report every validation to Tune and wait for its decision.

Tune would stop a trial by killing its actor, which leaves the placement group of Ray Train's workers reserved forever. A trial that asks
ends by returning: it saves a checkpoint and releases its resources. While it waits, a trial that is about to end does not compete for the
CPUs that read the data of the others.
"""

import asyncio
from typing import Any

import ray


class TuneDecisions:
    """An actor that stores the validations of a trial and how many of them Tune has accepted.

    Restarted workers may report a step again: every report has a unique number.
    """

    def __init__(self) -> None:
        self._reports: list[dict[str, float]] = []
        self._accepted = 0
        self._stopped = False
        self._changed = asyncio.Condition()

    async def ask(self, report: dict[str, float]) -> bool:
        """Report a validation and wait for the decision whether the run continues."""
        async with self._changed:
            self._reports.append(report)
            number = len(self._reports)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._stopped or self._accepted >= number)
            return not self._stopped

    async def accept(self, count: int) -> None:
        """Let the run continue after the first ``count`` reports."""
        async with self._changed:
            self._accepted = max(self._accepted, count)
            self._changed.notify_all()

    async def stop(self) -> None:
        """Stop the run, now or at its next report."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def report(self, number: int, seconds: float) -> dict[str, float] | None:
        """Return report ``number``, counted from 0; None if it does not arrive in time."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: len(self._reports) > number), seconds)
            except TimeoutError:
                return None
            return self._reports[number]


def ask_tune(decisions: Any, metrics: dict[str, float], step: int) -> bool:
    """The ``KeepTraining`` that a trial's first worker calls, once ``decisions`` is bound: whether the run continues."""
    return bool(ray.get(decisions.ask.remote({**metrics, "step": step})))
