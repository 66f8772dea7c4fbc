"""What a run reports: the one interface that training knows, and a way to have several of it."""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from scaleout.tracking.pictures import Picture

logger = logging.getLogger(__name__)


class RunStatus(StrEnum):
    """Where a run stands, in MLflow's words."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class Tracker(Protocol):
    """Receives what a run reports; the step is the optimiser step.

    What is given here leaves the machine room: no text of a report and no path of a patient belongs into a name or a value.
    """

    def params(self, values: Mapping[str, object]) -> None:
        """The resolved configuration; nested mappings are allowed."""
        ...

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Numbers at a step. A step that was reported before, as after a resume, adds nothing."""
        ...

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """A Pillow image or a matplotlib figure at a step."""
        ...

    def artifact(self, path: Path, folder: str = "") -> None:
        """A local file or folder to be kept with the run."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Facts to search runs by."""
        ...

    def finish(self, status: RunStatus) -> None:
        """Says how the run ended and releases what the tracker holds."""
        ...


class CompositeTracker:
    """Passes everything on to several trackers; with none it does nothing, which is what every rank but the first wants.

    A tracker that fails is reported and left behind for that call: no tracking error reaches training.
    """

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._trackers = tuple(trackers)

    def params(self, values: Mapping[str, object]) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.params(values))

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.metrics(values, step))

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.picture(name, picture, step))

    def artifact(self, path: Path, folder: str = "") -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.artifact(path, folder))

    def tags(self, values: Mapping[str, str]) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.tags(values))

    def finish(self, status: RunStatus) -> None:
        """See :class:`Tracker`."""
        self._each(lambda tracker: tracker.finish(status))

    def _each(self, call: Callable[[Tracker], None]) -> None:
        for tracker in self._trackers:
            try:
                call(tracker)
            except Exception:  # whatever breaks in a tracker, a day of training is worth more than a point on a curve
                logger.warning("%s failed; training goes on", type(tracker).__name__, exc_info=True)
