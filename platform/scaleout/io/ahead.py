"""Reading ahead: many small files, a few on their way at a time, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 8


def read_ahead(read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What ``read`` makes of every item, in order, read by threads; at most twice as many results are held as there are threads."""
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(read, item))
                if len(waiting) >= 2 * _AT_ONCE:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # somebody stopped asking
                future.cancel()
