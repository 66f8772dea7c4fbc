"""When a group of workers is told to stop, and by what."""

import os
import signal
import time
from dataclasses import replace

import pytest
from ray.exceptions import RayError

from scaleout.runs.config import ScaleConfig
from scaleout.workers.preemption import Poll, Supervisor, catch_termination


class World:
    """What a supervisor sees."""

    def __init__(self) -> None:
        self.terminated, self.leaving, self.capacity, self.time = False, False, 2, 0.0
        self.asked: list[str] = []

    def supervisor(self, workers: int = 2) -> Supervisor:
        return Supervisor(
            scale=ScaleConfig(workers=4, minimum_workers=1, resize_minutes=1),
            workers=workers,
            is_terminated=lambda: self.terminated,
            is_leaving=lambda: self.leaving,
            capacity=lambda: self.capacity,
            ask=self.asked.append,
            clock=lambda: self.time,
        )


def test_a_quiet_cluster_stops_nobody() -> None:
    world = World()
    supervisor = world.supervisor()
    for world.time in (0.0, 1e3, 1e6):
        supervisor.look()
    assert world.asked == []


@pytest.mark.parametrize(("sign", "reason"), [("terminated", "this process was asked to stop"), ("leaving", "is being removed")])
def test_signs_are_told_at_once_and_once(sign: str, reason: str) -> None:
    world = World()
    supervisor = world.supervisor()
    setattr(world, sign, True)
    supervisor.look(), supervisor.look()
    assert len(world.asked) == 1
    assert reason in world.asked[0]


def test_more_room_is_told_when_it_has_lasted() -> None:
    world = World()
    supervisor = world.supervisor()
    for world.time, world.capacity in ((0, 4), (50, 4), (55, 2), (60, 4), (119, 4)):
        supervisor.look()
    assert world.asked == []
    world.time = 120
    supervisor.look()
    assert world.asked == ["the cluster has capacity for 4 workers, 2 are running"]


def test_room_that_another_job_has_is_not_waited_for() -> None:
    world = World()
    world.capacity = 4
    supervisor = world.supervisor(workers=1)
    for world.time in (0, 1e3):
        supervisor.look()
    assert world.asked == []


def test_less_room_is_told_at_once() -> None:
    world = World()
    supervisor = world.supervisor()
    world.capacity = 1
    supervisor.look()
    assert world.asked == ["the cluster has capacity for 1 workers and their data, 2 are running"]


def test_less_room_stops_nobody_where_there_is_one_size() -> None:
    world = World()
    supervisor = replace(world.supervisor(), scale=ScaleConfig(workers=2))
    world.capacity = 0
    supervisor.look()
    assert world.asked == []


def test_a_signal_asks_the_driver_to_stop() -> None:
    with catch_termination() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked.is_set()


def test_a_poll_goes_on_after_ray_did_not_answer_and_ends_with_its_block() -> None:
    calls: list[float] = []

    def look() -> None:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise RayError("busy")

    with Poll(look, seconds=0.01):
        deadline = time.monotonic() + 10
        while len(calls) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    after = len(calls)
    assert after >= 3
    time.sleep(0.1)
    assert len(calls) == after
