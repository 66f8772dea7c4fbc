"""Reading ahead: in order, few at a time, and not beyond what is asked for."""

import threading
import time

import pytest

from scaleout.io.ahead import read_ahead


def test_results_come_in_order_and_few_are_held() -> None:
    asked: list[int] = []
    threads = set()

    def read(number: int) -> int:
        asked.append(number)
        threads.add(threading.get_ident())
        time.sleep(0.001 * (number % 3))
        return -number

    results = read_ahead(read, range(100))
    assert next(results) == 0
    time.sleep(0.1)
    assert len(asked) <= 16
    assert list(results) == [-number for number in range(1, 100)]
    assert 1 < len(threads) <= 8


def test_an_error_is_raised_where_it_is_met() -> None:
    results = read_ahead(lambda number: 1 // (3 - number), range(1000))
    assert [next(results) for _ in range(3)] == [0, 0, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_who_stops_asking_stops_the_reading() -> None:
    asked: list[int] = []
    results = read_ahead(asked.append, range(1000))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(asked) <= 16
