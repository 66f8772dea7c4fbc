"""Any number of workers share a step: each micro-batch counts once, all run as many micro-steps, and the weights make one mean."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import TrainingError
from scaleout.stream.batches import MicroBatch
from scaleout.stream.schedule import AccumulationSchedule, MicroSteps


@dataclass(frozen=True)
class Toy:
    """In place of a batch."""


def stream(first: int, workers: int, stop: int) -> Iterator[MicroBatch]:
    return (MicroBatch(number, Toy()) for number in range(first, stop, workers))  # type: ignore[arg-type]


@given(micro_batches=st.integers(1, 12), workers=st.integers(1, 9), start=st.integers(0, 3), steps=st.integers(1, 4))
def test_every_micro_batch_counts_once_in_its_step(micro_batches: int, workers: int, start: int, steps: int) -> None:
    schedule = AccumulationSchedule(micro_batches, workers)
    first = start * micro_batches
    # Ray makes equal shares, so the stream continues to a multiple of the workers.
    stop = first + -(-steps * micro_batches // workers) * workers
    all_steps = [MicroSteps(stream(first + rank, workers, stop), schedule, first=first + rank) for rank in range(workers)]
    for step in range(start, start + steps):
        micro_steps = [list(micro_steps.of_step(step)) for micro_steps in all_steps]
        assert {len(own) for own in micro_steps} == {schedule.accumulation}
        counted = [micro_step for own in micro_steps for micro_step in own if micro_step.weight]
        assert sorted(micro_step.micro.number for micro_step in counted) == list(range(step * micro_batches, (step + 1) * micro_batches))
        # The mean over all micro-steps is the mean over the micro-batches.
        assert sum(micro_step.weight for micro_step in counted) / (schedule.accumulation * workers) == pytest.approx(1.0)
        assert len(counted) == schedule.accumulation * workers - schedule.idle
        for rank, own in enumerate(micro_steps):
            assert {(micro_step.micro.number - first) % workers for micro_step in own} <= {rank}


@given(micro_batches=st.integers(1, 12), workers=st.integers(1, 12))
def test_idle_micro_steps_move_from_worker_to_worker(micro_batches: int, workers: int) -> None:
    schedule, steps = AccumulationSchedule(micro_batches, workers), workers
    all_steps = [MicroSteps(stream(rank, workers, steps * micro_batches + workers), schedule, first=rank) for rank in range(workers)]
    idle = Counter(dict.fromkeys(range(workers), 0))
    for step in range(steps):
        for rank, micro_steps in enumerate(all_steps):
            idle[rank] += sum(micro_step.weight == 0 for micro_step in micro_steps.of_step(step))
    assert len(set(idle.values())) == 1


@pytest.mark.parametrize(("micro_batches", "workers"), [(6, 1), (6, 2), (6, 6)])
def test_where_it_divides_nothing_is_weighed(micro_batches: int, workers: int) -> None:
    schedule = AccumulationSchedule(micro_batches, workers)
    assert (schedule.accumulation, schedule.idle, schedule.weight) == (micro_batches // workers, 0, 1.0)


def test_another_micro_batch_than_the_next_is_a_defect() -> None:
    micro_steps = MicroSteps(stream(3, 2, 20), AccumulationSchedule(4, 2), first=1)
    with pytest.raises(TrainingError, match="yielded micro-batch 3 instead of 1"):
        list(micro_steps.of_step(0))


def test_a_stream_that_ends_early_is_a_defect() -> None:
    micro_steps = MicroSteps(stream(0, 1, 3), AccumulationSchedule(4, 1), first=0)
    with pytest.raises(TrainingError, match="ended before the last step"):
        list(micro_steps.of_step(0))
