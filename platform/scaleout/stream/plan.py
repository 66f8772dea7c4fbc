"""Which sample stands where in the endless sequence of samples: a pure function of the seed and the manifest.

The sequence is epoch 0's order, then epoch 1's, and so on. An epoch's order is a keyed permutation of the shards, cut
into windows; the rows of a window are permuted together. Micro-batches are cut from the sequence without regard to
epochs, so no tail is dropped, and a position is one integer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.errors import ConfigurationError
from scaleout.shards.manifest import ShardManifest, ShardRecord


@dataclass(frozen=True)
class WindowSlice:
    """A run of consecutive positions inside one window: what one task reads."""

    epoch: int
    shards: tuple[ShardRecord, ...]
    start: int
    """Global position of the first row."""
    skip: int
    """Rows of the window's order that come before."""
    rows: int

    @property
    def window_rows(self) -> int:
        """Rows of the whole window."""
        return sum(shard.rows for shard in self.shards)


@dataclass(frozen=True, kw_only=True)
class StreamPlan:
    """The order of a split's samples."""

    shards: tuple[ShardRecord, ...]
    seed: int
    window_shards: int
    """Shards that are read and shuffled together: more mix better and need more memory in a task."""
    shuffle: bool = True

    @classmethod
    def of_split(cls, manifest: ShardManifest, split: str, *, seed: int, window_shards: int, shuffle: bool = True) -> "StreamPlan":
        """The plan of one split of a manifest.

        Raises:
            DataError: the split is empty.
        """
        return cls(shards=manifest.shards_of(split), seed=seed, window_shards=window_shards, shuffle=shuffle)

    def __post_init__(self) -> None:
        if self.window_shards < 1:
            raise ConfigurationError(f"data.window_shards is {self.window_shards}: take at least 1")

    @cached_property
    def rows(self) -> int:
        """Samples of an epoch."""
        return sum(shard.rows for shard in self.shards)

    def slices(self, start: int, stop: int) -> Iterator[WindowSlice]:
        """The positions [start, stop) as slices of windows, in order. Lazy: an epoch is laid out when it is reached."""
        position = start
        while position < stop:
            epoch = position // self.rows
            window_start = epoch * self.rows
            for shards in self._windows(epoch):
                rows = sum(shard.rows for shard in shards)
                window_stop = window_start + rows
                if window_start <= position < window_stop:
                    taken = min(stop, window_stop) - position
                    yield WindowSlice(epoch, shards, position, position - window_start, taken)
                    position += taken
                    if position == stop:
                        return
                window_start = window_stop

    def order(self, window: WindowSlice) -> np.ndarray:
        """int64 [window rows]: the rows of the window's shards, one after the other, in the order of the sequence."""
        if not self.shuffle:
            return np.arange(window.window_rows)
        generator = keyed_generator(self.seed, Purpose.ROW_ORDER, window.epoch, window.shards[0].name)
        return generator.permutation(window.window_rows)

    def _windows(self, epoch: int) -> Iterator[tuple[ShardRecord, ...]]:
        order = np.arange(len(self.shards))
        if self.shuffle:
            order = keyed_generator(self.seed, Purpose.SHARD_ORDER, epoch).permutation(order)
        for first in range(0, len(order), self.window_shards):
            yield tuple(self.shards[index] for index in order[first : first + self.window_shards])
