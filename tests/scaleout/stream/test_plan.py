"""The plan: every epoch is a permutation, and a position means the same sample whoever asks, from wherever."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import ConfigurationError, DataError
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.stream.plan import StreamPlan

Place = tuple[int, str, int]
"""Epoch, shard, row."""


def record(number: int, rows: int, split: str = "train") -> ShardRecord:
    return ShardRecord(name=f"{split}-{number:05d}.tar", split=split, first_key=100 * number, rows=rows, texts=rows, bytes=1, sha256="")


PLANS = st.builds(
    lambda rows, seed, window, shuffle: StreamPlan(
        shards=tuple(record(number, count) for number, count in enumerate(rows)), seed=seed, window_shards=window, shuffle=shuffle
    ),
    rows=st.lists(st.integers(1, 9), min_size=1, max_size=7),
    seed=st.integers(0, 9),
    window=st.integers(1, 4),
    shuffle=st.booleans(),
)


def places(plan: StreamPlan, start: int, stop: int) -> list[Place]:
    """Which row of which shard stands at every position of [start, stop)."""
    found: list[Place] = []
    for window in plan.slices(start, stop):
        assert window.start == start + len(found)
        assert window.rows >= 1
        rows = [(window.epoch, shard.name, row) for shard in window.shards for row in range(shard.rows)]
        found += [rows[index] for index in plan.order(window)[window.skip : window.skip + window.rows]]
    return found


@given(plan=PLANS, epoch=st.integers(0, 3))
def test_every_epoch_is_a_permutation(plan: StreamPlan, epoch: int) -> None:
    found = places(plan, epoch * plan.rows, (epoch + 1) * plan.rows)
    assert sorted(found) == [(epoch, shard.name, row) for shard in plan.shards for row in range(shard.rows)]


@given(plan=PLANS, cuts=st.lists(st.integers(0, 150), min_size=2, max_size=6))
def test_it_does_not_matter_how_it_is_cut(plan: StreamPlan, cuts: list[int]) -> None:
    cuts = sorted(cuts)
    parts = [place for start, stop in pairwise(cuts) for place in places(plan, start, stop)]
    assert parts == places(plan, cuts[0], cuts[-1])
    assert len(parts) == cuts[-1] - cuts[0]


@given(plan=PLANS, start=st.integers(0, 100))
def test_a_resumed_stream_is_the_tail_of_the_whole(plan: StreamPlan, start: int) -> None:
    assert places(plan, start, 120) == places(plan, 0, 120)[start:]


@given(plan=PLANS, seed=st.integers(0, 9))
def test_it_depends_on_seed_and_manifest_alone(plan: StreamPlan, seed: int) -> None:
    again = StreamPlan(shards=plan.shards, seed=plan.seed, window_shards=plan.window_shards, shuffle=plan.shuffle)
    assert places(again, 3, 60) == places(plan, 3, 60)


def test_seeds_epochs_and_windows_differ() -> None:
    shards = tuple(record(number, 20) for number in range(6))
    plan, other = (StreamPlan(shards=shards, seed=seed, window_shards=2) for seed in (0, 1))
    assert places(plan, 0, 120) != places(other, 0, 120)
    first, second = places(plan, 0, 120), places(plan, 120, 240)
    assert [place[1:] for place in first] != [place[1:] for place in second]
    orders = {tuple(plan.order(window)) for window in plan.slices(0, 120)}
    assert len(orders) == 3


def test_a_window_mixes_its_shards_and_no_others() -> None:
    plan = StreamPlan(shards=tuple(record(number, 50) for number in range(4)), seed=0, window_shards=2)
    shards = [shard for _, shard, _ in places(plan, 0, 200)]
    assert len(set(shards[:100])) == len(set(shards[100:])) == 2
    assert set(shards[:100]).isdisjoint(shards[100:])
    assert len(set(shards[:20])) == 2


def test_without_shuffle_it_is_the_order_of_the_manifest() -> None:
    plan = StreamPlan(shards=(record(0, 2), record(1, 1)), seed=0, window_shards=1, shuffle=False)
    assert places(plan, 0, 4) == [
        (0, "train-00000.tar", 0),
        (0, "train-00000.tar", 1),
        (0, "train-00001.tar", 0),
        (1, "train-00000.tar", 0),
    ]


def test_the_order_never_changes() -> None:
    # A run that a later version resumes must go on with the samples it has not seen.
    plan = StreamPlan(shards=(record(0, 3), record(1, 2), record(2, 2)), seed=5, window_shards=2)
    assert [(int(shard[6:11]), row) for _, shard, row in places(plan, 0, 7)] == [(0, 1), (0, 2), (1, 0), (1, 1), (0, 0), (2, 0), (2, 1)]


def test_a_split_is_planned_from_its_shards_alone() -> None:
    shards = (record(0, 3), record(1, 2, "validation"), record(2, 0), record(3, 4))
    manifest = ShardManifest(corpus="toy", public=True, shards=shards)
    plan = StreamPlan.of_split(manifest, "train", seed=0, window_shards=2)
    assert plan.rows == 7
    assert {shard.split for shard in plan.shards} == {"train"}
    with pytest.raises(DataError, match="no split 'test'"):
        StreamPlan.of_split(manifest, "test", seed=0, window_shards=2)


def test_a_window_holds_at_least_one_shard() -> None:
    with pytest.raises(ConfigurationError, match=r"data\.window_shards is 0"):
        StreamPlan(shards=(record(0, 1),), seed=0, window_shards=0)


def test_a_late_position_is_reached_without_the_epochs_before() -> None:
    plan = StreamPlan(shards=tuple(record(number, 1000) for number in range(10)), seed=0, window_shards=2)
    start = 10_000 * 10**9 + 1234
    window = next(plan.slices(start, start + 1))
    assert (window.epoch, window.start, window.rows) == (10**9, start, 1)
    assert np.unique(plan.order(window)).size == 2000
