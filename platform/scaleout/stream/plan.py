"""The position of every sample in the endless sequence of samples: a pure function of the seed and the manifests.

Every corpus is an endless sequence of shards: epoch 0's order, a keyed permutation, then epoch 1's, and so on. Several corpora are merged
by a virtual time: the number of rows of the corpus before a shard, divided by the weight of the corpus, so that rows come in proportion to
the weights, everywhere. Merged shards are cut into windows, whose rows are permuted together; no window crosses the end of an epoch of any
corpus. Micro-batches are cut from the sequence regardless of windows and epochs, so no tail is dropped, and a position is one integer.

The plan is lazy: any position is found from the counts in the manifests.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from medvlp.data.randomness import Purpose, keyed_generator
from scaleout.io.record_table import RecordTable
from scaleout.links.manifest import LinksManifest, LinksRecord
from scaleout.shards.manifest import ShardManifest, ShardRecord


@dataclass(frozen=True)
class PlannedShard:
    """A shard in the sequence."""

    corpus: int
    """Index of its corpus in the plan."""
    epoch: int
    """Epoch of its corpus."""
    shard: ShardRecord
    links: LinksRecord


@dataclass(frozen=True, kw_only=True)
class WindowSlice:
    """Consecutive positions inside one window, read by one task. It holds everything that the task needs to know."""

    shards: tuple[PlannedShard, ...]
    start: int
    """Global position of the first row."""
    skip: int
    """Number of earlier rows in the window's order."""
    rows: int
    seed: int | None
    """Seed of the order of the window's rows; None keeps the order of the shards."""
    negatives: tuple[PlannedShard, ...] = ()
    """Shards of the same corpora to draw negative images from."""

    @property
    def window_rows(self) -> int:
        """Number of rows of the whole window."""
        return sum(planned.shard.rows for planned in self.shards)

    @property
    def key(self) -> tuple[int | str, ...]:
        """Identifies the window in keyed draws; for the first corpus as if it were alone."""
        first = self.shards[0]
        return first.epoch, first.shard.name, *([first.corpus] if first.corpus else [])

    def chosen(self) -> np.ndarray:
        """Return the rows of the window's concatenated shards at the slice's positions, int64 [rows]."""
        if self.seed is None:
            return np.arange(self.skip, self.skip + self.rows)
        order = keyed_generator(self.seed, Purpose.ROW_ORDER, *self.key).permutation(self.window_rows)
        return order[self.skip : self.skip + self.rows]


@dataclass(frozen=True, kw_only=True)
class PlannedCorpus:
    """The shards of one split of a corpus."""

    shards: RecordTable[ShardRecord]
    links: RecordTable[LinksRecord]
    """Records of the links of the same shards, in the same order."""
    weight: float = 1.0
    """The frequency of its rows is proportional to this."""

    @classmethod
    def of_split(cls, shards: ShardManifest, links: LinksManifest, split: str, *, weight: float = 1.0) -> "PlannedCorpus":
        """Return the non-empty shards of a split.

        Raises:
            DataError: there are none.
        """
        places = shards.places_of(split)
        return cls(shards=shards.shards.take(places), links=links.files.take(places), weight=weight)

    @cached_property
    def shard_rows(self) -> np.ndarray:
        """Number of rows of every shard, int64."""
        return self.shards.column("rows")

    @cached_property
    def rows(self) -> int:
        """Samples of an epoch."""
        return int(self.shard_rows.sum())

    def epoch_at(self, time: float) -> int:
        """Return the epoch at a virtual time."""
        epoch = int(time * self.weight / self.rows)
        # The same division as everywhere decides, regardless of the rounding above.
        while self.start_of(epoch) > time:
            epoch -= 1
        while self.start_of(epoch + 1) <= time:
            epoch += 1
        return epoch

    def start_of(self, epoch: int) -> float:
        """Return the virtual time at which an epoch begins."""
        return epoch * self.rows / self.weight


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """The order of the samples of one or several corpora."""

    corpora: tuple[PlannedCorpus, ...]
    seed: int
    window_shards: int
    """Number of shards that are read and shuffled together: more shards mix better but need more memory per task."""
    shuffle: bool = True
    corpus_negatives: bool = False
    """Whether to plan the same number of other shards for every window, to draw images from the whole split."""
    _epochs: dict[int, "_Epoch"] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The most recent epoch layout of every corpus."""

    @property
    def rows(self) -> int:
        """Samples of an epoch of all corpora."""
        return sum(corpus.rows for corpus in self.corpora)

    def slices(self, start: int, stop: int) -> Iterator[WindowSlice]:
        """Yield the positions [start, stop) as slices of windows, in order and lazily."""
        position = start
        stretch = self._stretch_of(position)
        while position < stop:
            layout = self._layout(stretch)
            window = int(np.searchsorted(layout.window_stops, position, side="right"))
            while position < stop and window < len(layout.window_stops):
                window_start, window_stop = layout.bounds(window)
                taken = min(stop, window_stop) - position
                yield self._slice(layout, window, position, position - window_start, taken)
                position, window = position + taken, window + 1
            stretch = layout.end

    def _slice(self, layout: "_Layout", window: int, start: int, skip: int, rows: int) -> WindowSlice:
        shards = tuple(self._planned(corpus, layout.epochs[corpus], place) for corpus, place in layout.shards_of(window))
        negatives = self._negatives(shards) if self.corpus_negatives else ()
        return WindowSlice(shards=shards, start=start, skip=skip, rows=rows, seed=self.seed if self.shuffle else None, negatives=negatives)

    def _planned(self, corpus: int, epoch: int, place: int) -> PlannedShard:
        return PlannedShard(corpus, epoch, self.corpora[corpus].shards[place], self.corpora[corpus].links[place])

    def _negatives(self, shards: tuple[PlannedShard, ...]) -> tuple[PlannedShard, ...]:
        """Draw for every shard of a window another shard of its corpus, without replacement."""
        generator = keyed_generator(self.seed, Purpose.NEGATIVES, shards[0].epoch, shards[0].shard.name, shards[0].corpus)
        drawn: list[PlannedShard] = []
        for corpus in dict.fromkeys(planned.corpus for planned in shards):
            own = [planned for planned in shards if planned.corpus == corpus]
            places = generator.choice(len(self.corpora[corpus].shards), size=len(own), replace=False)
            drawn += [self._planned(corpus, own[0].epoch, int(place)) for place in places]
        return tuple(drawn)

    def _stretch_of(self, position: int) -> float:
        """Return the start, in virtual time, of the stretch between two epoch starts that contains a position."""
        time = self._cut_before(position / sum(corpus.weight for corpus in self.corpora))
        while self._rows_before(time) > position:
            time = self._cut_before(np.nextafter(time, -1.0))
        while self._rows_before(following := self._cut_after(time)) <= position:
            time = following
        return time

    def _cut_before(self, time: float) -> float:
        """Return the last epoch start of any corpus at or before this virtual time."""
        return max(corpus.start_of(corpus.epoch_at(time)) for corpus in self.corpora)

    def _cut_after(self, time: float) -> float:
        """Return the first epoch start of any corpus after this virtual time."""
        return min(corpus.start_of(corpus.epoch_at(time) + 1) for corpus in self.corpora)

    def _rows_before(self, time: float) -> int:
        """Return the number of rows of all shards that begin before a virtual time."""
        rows = 0
        for number, corpus in enumerate(self.corpora):
            current = corpus.epoch_at(time)
            rows += current * corpus.rows
            if time > corpus.start_of(current):  # otherwise none of the epoch, whose order then need not be computed
                epoch = self._epoch(number, current)
                index = np.searchsorted(epoch.times, time, side="left")
                rows += int(epoch.starts[index]) if index < len(epoch.starts) else corpus.rows
        return rows

    def _layout(self, time: float) -> "_Layout":
        """Return the layout of the stretch between two epoch starts, within which every corpus stays in one epoch."""
        end = self._cut_after(time)
        epochs = [self._epoch(number, corpus.epoch_at(time)) for number, corpus in enumerate(self.corpora)]
        parts = [slice(*np.searchsorted(epoch.times, [time, end], side="left")) for epoch in epochs]
        merged = np.argsort(np.concatenate([epoch.times[part] for epoch, part in zip(epochs, parts, strict=True)]), kind="stable")
        rows = np.concatenate([corpus.shard_rows[e.order[part]] for corpus, e, part in zip(self.corpora, epochs, parts, strict=True)])
        start, stops = self._rows_before(time), np.cumsum(rows[merged])
        windows = -(-len(merged) // self.window_shards)
        last = np.minimum(np.arange(1, windows + 1) * self.window_shards, len(merged)) - 1
        return _Layout(
            end=end,
            epochs=[epoch.number for epoch in epochs],
            corpora=np.repeat(np.arange(len(parts)), [part.stop - part.start for part in parts])[merged],
            places=np.concatenate([epoch.order[part] for epoch, part in zip(epochs, parts, strict=True)])[merged],
            window_shards=self.window_shards,
            start=start,
            window_stops=start + stops[last],
        )

    def _epoch(self, number: int, epoch: int) -> "_Epoch":
        """Return the order of an epoch of a corpus; the last one is cached."""
        kept = self._epochs.get(number)
        if kept is None or kept.number != epoch:
            corpus = self.corpora[number]
            order = np.arange(len(corpus.shards))
            if self.shuffle:
                order = keyed_generator(self.seed, Purpose.SHARD_ORDER, epoch).permutation(order)
            starts = np.cumsum(corpus.shard_rows[order]) - corpus.shard_rows[order]
            first_row = epoch * corpus.rows
            kept = self._epochs[number] = _Epoch(epoch, order, first_row, starts, (first_row + starts) / corpus.weight)
        return kept


@dataclass(frozen=True)
class _Epoch:
    """One epoch of one corpus."""

    number: int
    order: np.ndarray
    """int64, indices of the shards."""
    first_row: int
    """Number of rows of all earlier epochs."""
    starts: np.ndarray
    """int64, number of rows of the epoch before each shard."""
    times: np.ndarray
    """float64, virtual time of each shard."""


@dataclass(frozen=True, kw_only=True)
class _Layout:
    """The windows of a stretch of the sequence."""

    end: float
    """Virtual time of the next stretch."""
    epochs: list[int]
    """The epoch of every corpus."""
    corpora: np.ndarray
    """int64, the corpus of every shard, in the order of the sequence."""
    places: np.ndarray
    """int64, index of every shard in its corpus."""
    window_shards: int
    start: int
    """Global position of the first row."""
    window_stops: np.ndarray
    """int64, global position after the end of every window."""

    def bounds(self, window: int) -> tuple[int, int]:
        """Return the global positions [first, after the last) of a window."""
        return int(self.window_stops[window - 1]) if window else self.start, int(self.window_stops[window])

    def shards_of(self, window: int) -> list[tuple[int, int]]:
        """Return corpus and index in the corpus of a window's shards."""
        part = slice(window * self.window_shards, (window + 1) * self.window_shards)
        return list(zip(self.corpora[part].tolist(), self.places[part].tolist(), strict=True))
