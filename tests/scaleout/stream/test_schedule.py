"""Any number of workers share a step: each micro-batch counts once, all take as many turns, and the weights make one mean."""

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
    # Ray deals equal shares, so the stream goes on to a multiple of the workers.
    stop = first + -(-steps * micro_batches // workers) * workers
    all_turns = [MicroSteps(stream(first + rank, workers, stop), schedule, first=first + rank) for rank in range(workers)]
    for step in range(start, start + steps):
        turns = [list(turns.of_step(step)) for turns in all_turns]
        assert {len(own) for own in turns} == {schedule.accumulation}
        counted = [turn for own in turns for turn in own if turn.weight]
        assert sorted(turn.micro.number for turn in counted) == list(range(step * micro_batches, (step + 1) * micro_batches))
        # The mean over all turns is the mean over the micro-batches.
        assert sum(turn.weight for turn in counted) / (schedule.accumulation * workers) == pytest.approx(1.0)
        assert len(counted) == schedule.accumulation * workers - schedule.idle
        for rank, own in enumerate(turns):
            assert {(turn.micro.number - first) % workers for turn in own} <= {rank}


@given(micro_batches=st.integers(1, 12), workers=st.integers(1, 12))
def test_idle_turns_move_from_worker_to_worker(micro_batches: int, workers: int) -> None:
    schedule, steps = AccumulationSchedule(micro_batches, workers), workers
    all_turns = [MicroSteps(stream(rank, workers, steps * micro_batches + workers), schedule, first=rank) for rank in range(workers)]
    idle = Counter(dict.fromkeys(range(workers), 0))
    for step in range(steps):
        for rank, turns in enumerate(all_turns):
            idle[rank] += sum(turn.weight == 0 for turn in turns.of_step(step))
    assert len(set(idle.values())) == 1


@pytest.mark.parametrize(("micro_batches", "workers"), [(6, 1), (6, 2), (6, 6)])
def test_where_it_divides_nothing_is_weighed(micro_batches: int, workers: int) -> None:
    schedule = AccumulationSchedule(micro_batches, workers)
    assert (schedule.accumulation, schedule.idle, schedule.weight) == (micro_batches // workers, 0, 1.0)


def test_another_micro_batch_than_the_next_is_a_defect() -> None:
    turns = MicroSteps(stream(3, 2, 20), AccumulationSchedule(4, 2), first=1)
    with pytest.raises(TrainingError, match="yielded micro-batch 3 instead of 1"):
        list(turns.of_step(0))


def test_a_stream_that_ends_early_is_a_defect() -> None:
    turns = MicroSteps(stream(0, 1, 3), AccumulationSchedule(4, 1), first=0)
    with pytest.raises(TrainingError, match="ended before the last step"):
        list(turns.of_step(0))
