"""How any number of workers share the micro-batches of a step, so that together they make the gradient of one worker alone.

Micro-batches go to the workers in turn, over the whole stream. All workers run the same number of micro-steps in a step, because
a forward and a backward are collectives: a worker that has no micro-batch left in a step runs one that weighs nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from medvlp.errors import TrainingError
from scaleout.stream.batches import MicroBatch


@dataclass(frozen=True)
class AccumulationSchedule:
    """The micro-batches of a step among the workers."""

    micro_batches: int
    """Of a step, over all workers."""
    workers: int

    @property
    def accumulation(self) -> int:
        """Forwards of every worker in a step."""
        return -(-self.micro_batches // self.workers)

    @property
    def idle(self) -> int:
        """MicroSteps of a step, over all workers, without a micro-batch."""
        return self.accumulation * self.workers - self.micro_batches

    @property
    def weight(self) -> float:
        """Of a micro-batch's loss. An engine takes the mean over all micro-steps; wanted is the mean over the micro-batches."""
        return self.accumulation * self.workers / self.micro_batches


@dataclass(frozen=True)
class MicroStep:
    """One forward and backward of a worker."""

    micro: MicroBatch
    weight: float
    """Of its loss; 0 if the micro-batch belongs to another micro-step."""


class MicroSteps:
    """A worker's micro-steps, step after step."""

    def __init__(self, stream: Iterator[MicroBatch], schedule: AccumulationSchedule, *, first: int):
        """``first`` is the number of the worker's first micro-batch; the others follow at a distance of ``workers``."""
        self._stream, self._schedule = stream, schedule
        self._number = first
        self._waiting: MicroBatch | None = None
        self._last: MicroBatch | None = None

    def of_step(self, step: int) -> Iterator[MicroStep]:
        """The micro-steps of step ``step`` of the run; steps are asked for one after the other.

        Raises:
            TrainingError: the stream gave another micro-batch than this worker's next, or none.
        """
        stop = (step + 1) * self._schedule.micro_batches
        for _ in range(self._schedule.accumulation):
            yield self._own() if self._number < stop else self._idle()

    def _own(self) -> MicroStep:
        micro = self._waiting or self._take()
        self._waiting, self._last = None, micro
        self._number += self._schedule.workers
        return MicroStep(micro, self._schedule.weight)

    def _idle(self) -> MicroStep:
        """Any micro-batch serves: the last one, or, with more workers than micro-batches, the next one, which then waits."""
        if self._last is None:
            self._last = self._waiting = self._take()
        return MicroStep(self._last, 0.0)

    def _take(self) -> MicroBatch:
        micro = next(self._stream, None)
        if micro is None or micro.number != self._number:
            what = "ended before the last step" if micro is None else f"gave micro-batch {micro.number} where {self._number} was due"
            raise TrainingError(f"the stream {what}; this is a defect: keep the run's folder and report it")
        return micro
