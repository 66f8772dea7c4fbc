"""Requests to stop a run: it finishes the step, writes a checkpoint, and the same command continues from it."""

import threading


class StopRequest:
    """The request of one worker. Any thread may ask; the loop stops between two steps, at the same step on all workers."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.has_something_to_save = False
        """Whether the loop has finished a step."""
        self.happened = False
        """Whether the loop ended because of the request, with a checkpoint."""

    def ask(self) -> None:
        """End the run after the current step."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Return whether this worker was asked to stop; all stop if one was."""
        return self._asked.is_set()
