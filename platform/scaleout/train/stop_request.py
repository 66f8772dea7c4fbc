"""A run that is asked to stop: a step is finished, a checkpoint is made, and the same command goes on from it."""

import threading


class StopRequest:
    """One worker's. Anybody may ask, from any thread; the loop obeys between two steps, all workers at the same one."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.has_something_to_save = False
        """Whether the loop has done a step."""
        self.happened = False
        """Whether the loop ended because of it, with a checkpoint."""

    def ask(self) -> None:
        """End the run after the step that is being made."""
        self._asked.set()

    @property
    def is_asked(self) -> bool:
        """Whether somebody asked this worker; all stop if one of them was."""
        return self._asked.is_set()
