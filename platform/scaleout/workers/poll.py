"""Looking again and again, from a thread."""

import logging
import threading
from collections.abc import Callable

from ray.exceptions import RayError

logger = logging.getLogger(__name__)


class Poll:
    """Calls a function in a thread every second while it is entered. What Ray cannot answer just now is asked again."""

    def __init__(self, look: Callable[[], None], seconds: float = 1.0):
        self._look, self._seconds = look, seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=look.__name__, daemon=True)

    def __enter__(self) -> "Poll":
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._look()
            except RayError as error:
                logger.debug("Ray does not answer (%s)", error)
