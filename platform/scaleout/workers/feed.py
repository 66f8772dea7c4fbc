"""The training samples of a run under Ray: the segment server for all worker groups, and a worker's share."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import open_corpora, open_knowledge, training_split
from scaleout.stream.rows import PlannedSplit
from scaleout.stream.source import start_segment_server, worker_tables


def start_feed(config: RunConfig) -> Any:
    """Start the ``SegmentServer`` of a run's training samples."""
    return start_segment_server(partial(_open_split, config), config.train.micro_batch)


def _open_split(config: RunConfig) -> PlannedSplit:
    return training_split(config, open_corpora(config.data), open_knowledge(config.knowledge))


@dataclass(frozen=True)
class WorkerFeed:
    """The micro-batches of one worker, from any position."""

    config: RunConfig
    server: Any
    group: str
    """A name that no earlier worker group used."""
    rank: int
    workers: int

    def tables(self, start: int) -> Iterator[pa.Table]:
        """Yield micro-batches as Arrow tables; called by all workers of the group."""
        train = self.config.train
        ray.get(self.server.begin.remote(self.group, start, train.max_steps * train.global_batch, self.workers))
        return worker_tables(self.server, self.group, self.rank, train.micro_batch, prefetch=self.config.data.ahead)
