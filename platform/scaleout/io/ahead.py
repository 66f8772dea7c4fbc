"""Work ahead: a bounded number of items in flight, results in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_AT_ONCE = 8


def read_ahead(read: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``read(item)`` for every item, in order, read by threads; at most twice as many results as threads are held."""
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="ahead") as pool:
        yield from in_flight(items, lambda item: pool.submit(read, item), Future.result, Future.cancel, most=2 * _AT_ONCE)


def in_flight(
    items: Iterable[T], start: Callable[[T], Any], finish: Callable[[Any], R], cancel: Callable[[Any], object], *, most: int
) -> Iterator[R]:
    """Start work for every item, ``most`` items before the first result is awaited, and yield the results in order.

    Args:
        items: the items.
        start: starts the work for an item and returns a handle.
        finish: waits for the result of a handle.
        cancel: called with every open handle when the caller stops early.
        most: maximum number of items in flight, including results not yet requested.
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
