"""Work ahead: a bounded number of things on their way at a time, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 8


def read_ahead(read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """What ``read`` makes of every item, in order, read by threads; at most twice as many results are held as there are threads."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead") as pool:
        yield from in_flight(items, lambda item: pool.submit(read, item), Future.result, Future.cancel, most=2 * _AT_ONCE)


def in_flight(
    items: Iterable[T], start: Callable[[T], Any], finish: Callable[[Any], R], cancel: Callable[[Any], object], *, most: int
) -> Iterator[R]:
    """Start something for every item, ``most`` of them before the first result is awaited, and give the results in order.

    Args:
        items: what to start something for.
        start: starts it.
        finish: waits for its result.
        cancel: what becomes of those that were started when nobody asks for results any more.
        most: how many are on their way or waiting to be asked for.
    """
    waiting: deque[Any] = deque()
    try:
        for item in items:
            waiting.append(start(item))
            if len(waiting) >= most:
                yield finish(waiting.popleft())
        while waiting:
            yield finish(waiting.popleft())
    finally:
        for each in waiting:
            cancel(each)
