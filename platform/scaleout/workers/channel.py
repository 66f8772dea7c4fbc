"""The channel from workers to driver: messages for the user, the result, and errors that a restart cannot fix."""

from collections.abc import Callable
from typing import Any

import ray

from medvlp import errors
from medvlp.errors import MedvlpError
from scaleout.workers.poll import Poll


class Channel:
    """The state of an actor that outlives the worker groups of a run."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._error: tuple[str, str] | None = None
        self._result: dict[str, float] | None = None
        self._nodes: set[str] = set()
        self._stop_reason: str | None = None

    def say(self, text: str) -> None:
        """Add a message for the user."""
        self._lines.append(text)

    def take(self) -> list[str]:
        """Return the messages since the last call."""
        lines, self._lines = self._lines, []
        return lines

    def fail(self, kind: str, message: str) -> None:
        """Store the first error that a restart cannot fix."""
        self._error = self._error or (kind, message)

    def error(self) -> tuple[str, str] | None:
        """Return the class name and the message of the error, if any."""
        return self._error

    def finish(self, result: dict[str, float]) -> None:
        """Store the metrics of the last validation."""
        self._result = result

    def result(self) -> dict[str, float] | None:
        """Return the metrics stored by ``finish``; None before that."""
        return self._result

    def open(self) -> None:
        """Prepare for a new group of workers."""
        self._nodes, self._stop_reason = set(), None

    def enter(self, node: str) -> None:
        """Register a worker that has started on a node."""
        self._nodes.add(node)

    def nodes(self) -> list[str]:
        """Return the ids of the nodes with workers."""
        return sorted(self._nodes)

    def ask_to_stop(self, reason: str) -> None:
        """Ask the workers to stop after their step, with a checkpoint."""
        self._stop_reason = reason
        self.say(f"stopping after this step, with a checkpoint: {reason}")

    def stop_reason(self) -> str | None:
        """Return the reason given to ``ask_to_stop``; None if there is none."""
        return self._stop_reason


def raise_if_failed(channel: Any) -> None:
    """Raise the error that a worker sent through the channel, with its original class."""
    error = ray.get(channel.error.remote())
    if error is not None:
        kind, message = error
        raise getattr(errors, kind, MedvlpError)(message)


def find_user_error(error: BaseException) -> MedvlpError | None:
    """Find the project's own error inside the wrappers of Ray or a thread pool."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        # Ray's wrapper of an error is a subclass of its class too, with a traceback for a message.
        if isinstance(current, MedvlpError) and type(current).__module__ == MedvlpError.__module__:
            return current
        waiting += [getattr(current, "cause", None), current.__cause__, current.__context__]
    return None


class ChannelPrinter(Poll):
    """Prints the channel's lines from a thread of the driver while the run continues."""

    def __init__(self, channel: Any, show: Callable[[str], None], seconds: float = 0.5):
        super().__init__(self._show_new, seconds)
        self._channel, self._show = channel, show

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._show_new()

    def _show_new(self) -> None:
        for line in ray.get(self._channel.take.remote()):
            self._show(line)
