"""The plan: every epoch is a permutation, and a position means the same sample whoever asks, from wherever."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import DataError
from scaleout.io.record_table import RecordTable
from scaleout.links.manifest import LinksManifest, LinksRecord
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.stream.plan import PlannedCorpus, StreamPlan
from tests.scaleout.stream.plans import corpus_of, links_record, plan_of, shard_record

Place = tuple[int, int, str, int]
"""Corpus, epoch, shard, row."""

ORDER = [(0, 1), (0, 2), (1, 0), (1, 1), (0, 0), (2, 0), (2, 1)]

ROWS = st.lists(st.integers(1, 9), min_size=1, max_size=7)
PLANS = st.builds(
    lambda rows, seed, window, shuffle: plan_of(rows, seed=seed, window_shards=window, shuffle=shuffle),
    rows=ROWS,
    seed=st.integers(0, 9),
    window=st.integers(1, 4),
    shuffle=st.booleans(),
)
MIXTURES = st.builds(
    lambda corpora, seed, window, shuffle: StreamPlan(corpora=tuple(corpora), seed=seed, window_shards=window, shuffle=shuffle),
    corpora=st.lists(st.builds(corpus_of, ROWS, st.sampled_from([0.1, 0.3, 1.0, 2.0, 7.0])), min_size=1, max_size=3),
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
        rows = [(each.corpus, each.epoch, each.shard.name, row) for each in window.shards for row in range(each.shard.rows)]
        found += [rows[index] for index in window.chosen()]
    return found


@given(plan=PLANS, epoch=st.integers(0, 3))
def test_every_epoch_is_a_permutation(plan: StreamPlan, epoch: int) -> None:
    found = places(plan, epoch * plan.rows, (epoch + 1) * plan.rows)
    assert sorted(found) == [(0, epoch, shard.name, row) for shard in plan.corpora[0].shards for row in range(shard.rows)]


@given(plan=MIXTURES)
def test_in_a_mixture_every_epoch_of_every_corpus_is_a_permutation(plan: StreamPlan) -> None:
    found = places(plan, 0, 400)
    for number, corpus in enumerate(plan.corpora):
        own = [place for place in found if place[0] == number]
        assert [place[1] for place in own] == sorted(place[1] for place in own), "epochs follow each other"
        whole = [(shard.name, row) for shard in corpus.shards for row in range(shard.rows)]
        for epoch in range(own[-1][1] if own else 0):
            assert sorted(place[2:] for place in own if place[1] == epoch) == whole


@given(plan=MIXTURES)
def test_a_mixture_keeps_to_its_weights_everywhere(plan: StreamPlan) -> None:
    total = sum(corpus.weight for corpus in plan.corpora)
    largest = max(int(corpus.shard_rows.max()) for corpus in plan.corpora)
    found = places(plan, 0, 400)
    # Never further from its share than the shards of a window.
    allowed = (plan.window_shards + 1) * largest * len(plan.corpora)
    for number, corpus in enumerate(plan.corpora):
        seen = np.cumsum([place[0] == number for place in found])
        expected = np.arange(1, len(found) + 1) * corpus.weight / total
        assert np.abs(seen - expected).max() <= allowed


@given(plan=MIXTURES, cuts=st.lists(st.integers(0, 150), min_size=2, max_size=6))
def test_it_does_not_matter_how_it_is_cut(plan: StreamPlan, cuts: list[int]) -> None:
    cuts = sorted(cuts)
    parts = [place for start, stop in pairwise(cuts) for place in places(plan, start, stop)]
    assert parts == places(plan, cuts[0], cuts[-1])
    assert len(parts) == cuts[-1] - cuts[0]


@given(plan=MIXTURES, start=st.integers(0, 100))
def test_a_resumed_stream_is_the_tail_of_the_whole(plan: StreamPlan, start: int) -> None:
    assert places(plan, start, 120) == places(plan, 0, 120)[start:]


@given(plan=MIXTURES)
def test_it_depends_on_seed_and_manifest_alone(plan: StreamPlan) -> None:
    again = StreamPlan(corpora=plan.corpora, seed=plan.seed, window_shards=plan.window_shards, shuffle=plan.shuffle)
    assert places(again, 3, 60) == places(plan, 3, 60)


def test_seeds_epochs_and_windows_differ() -> None:
    plan, other = (plan_of([20] * 6, seed=seed, window_shards=2) for seed in (0, 1))
    assert places(plan, 0, 120) != places(other, 0, 120)
    first, second = places(plan, 0, 120), places(plan, 120, 240)
    assert [place[2:] for place in first] != [place[2:] for place in second]
    orders = {tuple(window.chosen()) for window in plan.slices(0, 120)}
    assert len(orders) == 3


def test_a_window_mixes_its_shards_and_no_others() -> None:
    shards = [shard for _, _, shard, _ in places(plan_of([50] * 4, window_shards=2), 0, 200)]
    assert len(set(shards[:100])) == len(set(shards[100:])) == 2
    assert set(shards[:100]).isdisjoint(shards[100:])
    assert len(set(shards[:20])) == 2


def test_without_shuffle_it_is_the_order_of_the_manifest() -> None:
    assert places(plan_of([2, 1], shuffle=False), 0, 4) == [
        (0, 0, "train-00000.tar", 0),
        (0, 0, "train-00000.tar", 1),
        (0, 0, "train-00001.tar", 0),
        (0, 1, "train-00000.tar", 0),
    ]


def test_the_order_never_changes() -> None:
    # A run that a later version resumes must go on with the samples it has not seen.
    plan = plan_of([3, 2, 2], seed=5, window_shards=2)
    assert [(int(shard[6:11]), row) for _, _, shard, row in places(plan, 0, 7)] == ORDER


def test_a_split_is_planned_from_its_shards_alone() -> None:
    shards = [shard_record(0, 3), shard_record(1, 2, "validation"), shard_record(2, 0), shard_record(3, 4)]
    manifest = ShardManifest(corpus="toy", public=True, shards=RecordTable.of(ShardRecord, shards))
    files = RecordTable.of(LinksRecord, [links_record(shard) for shard in shards])
    links = LinksManifest(
        ontology="toy", ontology_fingerprint="", linker="toy", linker_version="", shards_fingerprint="", counts={}, files=files
    )
    corpus = PlannedCorpus.of_split(manifest, links, "train")
    assert corpus.rows == 7
    assert [shard.name for shard in corpus.shards] == ["train-00000.tar", "train-00003.tar"]
    assert [record.name for record in corpus.links] == ["train-00000.parquet", "train-00003.parquet"]
    with pytest.raises(DataError, match="no sample of split 'test'"):
        PlannedCorpus.of_split(manifest, links, "test")


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 0.37)])
def test_a_late_position_is_reached_without_the_epochs_before(weights: tuple[float, ...]) -> None:
    plan = StreamPlan(corpora=tuple(corpus_of([1000] * 10, weight) for weight in weights), seed=0, window_shards=2)
    start = 10_000 * 10**9 + 1234
    window = next(plan.slices(start, start + 1))
    assert (window.start, window.rows) == (start, 1)
    first = window.shards[0]
    assert first.epoch == pytest.approx(10**9 * weights[first.corpus] / sum(weights), rel=1e-6)
    assert np.unique(next(plan.slices(start - window.skip, start - window.skip + window.window_rows)).chosen()).size == window.window_rows


def test_negatives_come_from_the_corpora_of_the_window() -> None:
    corpora = (corpus_of([5] * 8), corpus_of([5] * 8, weight=3.0))
    plan = StreamPlan(corpora=corpora, seed=0, window_shards=4, corpus_negatives=True)
    for window in plan.slices(0, 160):
        assert Counter(each.corpus for each in window.negatives) == Counter(each.corpus for each in window.shards)
        assert len({(each.corpus, each.shard.name) for each in window.negatives}) == len(window.shards)
        assert all(record.links.name.removesuffix(".parquet") == record.shard.name.removesuffix(".tar") for record in window.negatives)
