"""Preemption before the last step: the driver watches its signals and the cluster, a worker watches the channel."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray

from scaleout.runs.config import ScaleConfig
from scaleout.signals import handle_stops
from scaleout.train.stop_request import StopRequest
from scaleout.workers.capacity import workers_for
from scaleout.workers.poll import Poll


@contextmanager
def catch_termination() -> Iterator[threading.Event]:
    """Yield an event that a signal to stop sets instead of ending this process; see ``handle_stops``."""
    asked = threading.Event()
    with handle_stops(lambda number: asked.set()):
        yield asked


@dataclass
class Supervisor:
    """Supervises one worker group from the driver: asks it once to stop, with the reason, if it has to."""

    scale: ScaleConfig
    workers: int
    is_terminated: Callable[[], bool]
    """Return whether the driver was asked to stop."""
    is_leaving: Callable[[], bool]
    """Return whether a node with workers is being removed."""
    capacity: Callable[[], int]
    """Return how many workers fit on the cluster."""
    ask: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._capacity_at_start = self.capacity()
        self._more_since: float | None = None
        self._has_asked = False

    def look(self) -> None:
        """Check once."""
        if not self._has_asked and (reason := self._reason()):
            self.ask(reason)
            self._has_asked = True

    def _reason(self) -> str | None:
        if self.is_terminated():
            return "this process was asked to stop"
        if self.is_leaving():
            return "a node with workers is being removed"
        capacity = self.capacity()
        possible = workers_for(self.scale, capacity)
        if possible < self.workers:  # they run, but leave no CPU to read data, or a node has died
            return f"the cluster has capacity for {possible} workers and their data, {self.workers} are running"
        # Capacity that was there at the start is not free, or it would be used: another job has it.
        if capacity <= self._capacity_at_start or possible <= self.workers:
            self._more_since = None
            return None
        now = self.clock()
        self._more_since = now if self._more_since is None else self._more_since
        if now - self._more_since < 60 * self.scale.resize_minutes:
            return None
        return f"the cluster has capacity for {possible} workers, {self.workers} are running"


@contextmanager
def follow_stop_requests(channel: Any, stop_request: StopRequest, grace: float) -> Iterator[None]:
    """Forward a request to stop from the channel to the loop of a worker.

    A worker that has nothing to save exits at once. So does one whose loop has not stopped after ``grace`` seconds, because it waits for
    data or peers that never come. The whole group ends with it.
    """
    asked: list[float] = []

    def check() -> None:
        if not ray.get(channel.stop_reason.remote()):
            return
        stop_request.ask()
        asked.append(time.monotonic())
        is_stuck = not stop_request.happened and asked[-1] - asked[0] > grace
        if is_stuck or not stop_request.has_something_to_save:
            os._exit(1)

    with Poll(check):
        yield
