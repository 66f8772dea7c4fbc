"""SIGTERM, SIGINT (Ctrl-C) and SIGHUP (a closed terminal): the first one asks a process to end in good order, the next ends it at once.

A signal that the process was started to ignore (``nohup``, ``command &`` in a script) stays ignored.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

REPEAT_SECONDS = 1.0
"""Signals within this time are one: ``timeout``, terminals and systemd send several, to the process and to its group."""


class Stopped(KeyboardInterrupt):
    """The process received one of the signals, outside of a block that handles them in its own way."""


_received: tuple[int, float] | None = None
"""Number and time of the first signal."""


def exit_status() -> int:
    """Return 128 + the number of the signal that this process received first; SIGTERM's if there was none."""
    return 128 + (_received[0] if _received else signal.SIGTERM)


def received() -> str:
    """Return the name of the signal that this process received first; SIGTERM if there was none."""
    return signal.Signals(exit_status() - 128).name


def stop(number: int) -> None:
    """End the current block of code with ``Stopped``."""
    raise Stopped


@contextmanager
def handle_stops(ask: Callable[[int], None] = stop) -> Iterator[None]:
    """Call ``ask`` with the number of the first signal, in the main thread; a later one ends the process at once.

    Outside of the main thread it does nothing: Python allows handlers only there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        global _received
        if _received is None:
            _received = number, time.monotonic()
            ask(number)
        elif time.monotonic() - _received[1] > REPEAT_SECONDS:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)

    before = {number: signal.getsignal(number) for number in STOPS}
    handled = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in handled:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


@contextmanager
def keep_handlers() -> Iterator[None]:
    """Undo at the end what a library in the block did to the handlers."""
    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)
