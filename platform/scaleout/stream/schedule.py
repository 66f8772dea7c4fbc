"""The accumulation schedule: any number of workers share the micro-batches of a step and compute the same gradient as one worker.

Micro-batches go to the workers round robin, over the whole stream. All workers run the same number of micro-steps in a step, because
forward and backward are collectives: a worker without a micro-batch left in a step runs one with weight zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from medvlp.errors import TrainingError
from scaleout.stream.batches import MicroBatch


@dataclass(frozen=True)
class AccumulationSchedule:
    """The assignment of the micro-batches of a step to the workers."""

    micro_batches: int
    """Micro-batches per step, over all workers."""
    workers: int

    @property
    def accumulation(self) -> int:
        """Forward passes of every worker in a step."""
        return -(-self.micro_batches // self.workers)

    @property
    def idle(self) -> int:
        """Micro-steps without a micro-batch in a step, over all workers."""
        return self.accumulation * self.workers - self.micro_batches

    @property
    def weight(self) -> float:
        """Weight of a micro-batch's loss: turns the engine's mean over all micro-steps into the mean over the micro-batches."""
        return self.accumulation * self.workers / self.micro_batches


@dataclass(frozen=True)
class MicroStep:
    """One forward and backward of a worker."""

    micro: MicroBatch
    weight: float
    """Weight of its loss; 0 if the micro-batch belongs to another micro-step."""


class MicroSteps:
    """The micro-steps of a worker, step after step."""

    def __init__(self, stream: Iterator[MicroBatch], schedule: AccumulationSchedule, *, first: int):
        """``first`` is the number of the worker's first micro-batch; the others follow with a stride of ``workers``."""
        self._stream, self._schedule = stream, schedule
        self._number = first
        self._waiting: MicroBatch | None = None
        self._last: MicroBatch | None = None

    def of_step(self, step: int) -> Iterator[MicroStep]:
        """Yield the micro-steps of step ``step`` of the run; steps must be requested in order.

        Raises:
            TrainingError: the stream yielded another micro-batch than this worker's next, or none.
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
        """Use any micro-batch: the last one or, with more workers than micro-batches, the next one, which is used again later."""
        if self._last is None:
            self._last = self._waiting = self._take()
        return MicroStep(self._last, 0.0)

    def _take(self) -> MicroBatch:
        micro = next(self._stream, None)
        if micro is None or micro.number != self._number:
            what = "ended before the last step" if micro is None else f"yielded micro-batch {micro.number} instead of {self._number}"
            raise TrainingError(f"the stream {what}; this is a defect: keep the run's folder and report it")
        return micro
