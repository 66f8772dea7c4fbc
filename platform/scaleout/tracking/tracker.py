"""The tracker interface of training, and a composite of several trackers."""

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from scaleout.tracking.pictures import Picture

logger = logging.getLogger(__name__)


class RunStatus(StrEnum):
    """The status of a run, in MLflow's terms."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"


class Tracker(Protocol):
    """Receives the reports of a run; the step is the optimiser step.

    Tracked values leave the cluster: never put a report text or a patient's path in a name or a value.
    """

    def params(self, values: Mapping[str, object]) -> None:
        """Log the resolved configuration; nested mappings are allowed."""
        ...

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Log metrics at a step. A step that was reported before, as after a resume, adds nothing."""
        ...

    def picture(self, name: str, picture: Picture, step: int) -> None:
        """Log a Pillow image or a matplotlib figure at a step."""
        ...

    def artifact(self, path: Path, folder: str = "") -> None:
        """Store a local file or folder with the run."""
        ...

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags to search runs by."""
        ...

    def finish(self, status: RunStatus) -> None:
        """Report how the run ended and release the tracker's resources."""
        ...


class CompositeTracker:
    """Forwards everything to several trackers; with none it does nothing, as on every rank but the first.

    If a tracker fails, the error is logged and the call is skipped: no tracking error reaches training.
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
            except Exception:  # training matters more than a point on a curve
                logger.warning("%s failed; training continues", type(tracker).__name__, exc_info=True)
