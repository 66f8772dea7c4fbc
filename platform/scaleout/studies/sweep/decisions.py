"""Between the workers of a trial and Ray Tune: every validation is shown to Tune, and the run waits for its decision.

Tune would stop a trial by killing its actor, which leaves the placement group of Ray Train's workers reserved for ever.
A trial that is asked ends by returning: it saves a checkpoint and gives back what it holds. And as it waits, no trial that
is about to end competes for the CPUs that read the data of the others.
"""

import asyncio
from typing import Any

import ray


class TuneDecisions:
    """An actor that remembers the validations of a trial and how many of them Tune has accepted.

    Restarted workers may report a step again: every report has a number of its own.
    """

    def __init__(self) -> None:
        self._reports: list[dict[str, float]] = []
        self._accepted = 0
        self._stopped = False
        self._changed = asyncio.Condition()

    async def ask(self, report: dict[str, float]) -> bool:
        """Show a validation and wait until it is known whether the run goes on."""
        async with self._changed:
            self._reports.append(report)
            number = len(self._reports)
            self._changed.notify_all()
            await self._changed.wait_for(lambda: self._stopped or self._accepted >= number)
            return not self._stopped

    async def accept(self, count: int) -> None:
        """Let the first ``count`` reports go on."""
        async with self._changed:
            self._accepted = max(self._accepted, count)
            self._changed.notify_all()

    async def stop(self) -> None:
        """Let no run go on, now or later."""
        async with self._changed:
            self._stopped = True
            self._changed.notify_all()

    async def report(self, number: int, seconds: float) -> dict[str, float] | None:
        """Report ``number``, counted from 0; None if it does not come in time."""
        async with self._changed:
            try:
                await asyncio.wait_for(self._changed.wait_for(lambda: len(self._reports) > number), seconds)
            except TimeoutError:
                return None
            return self._reports[number]


def ask_tune(decisions: Any, metrics: dict[str, float], step: int) -> bool:
    """The ``KeepTraining`` that a trial's first worker calls, once ``decisions`` is bound: whether the run goes on."""
    return bool(ray.get(decisions.ask.remote({**metrics, "step": step})))
