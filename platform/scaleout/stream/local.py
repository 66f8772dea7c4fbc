"""The same stream without Ray: for a single machine, evaluation and tests."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from medvlp.data.collate import Collate
from medvlp.data.sample import StreamRow
from scaleout.stream.batches import MicroBatch, NumberedRows, made_ahead
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, stream_rows

NO_KEY = ""
"""Key of a padding row that fills up a batch."""


def local_tables(split: PlannedSplit, start: int, stop: int, micro_batch: int, *, rank: int = 0, workers: int = 1) -> Iterator[pa.Table]:
    """Yield one worker's micro-batches, round robin from ``start`` on, read in this process; the last may be smaller."""
    rows, turn = ROW_SCHEMA.empty_table(), 0
    for table in split.tables(start, stop):
        rows = pa.concat_tables([rows, table])
        while rows.num_rows >= micro_batch:
            if turn % workers == rank:
                yield rows.slice(0, micro_batch)
            rows, turn = rows.slice(micro_batch), turn + 1
    if rows.num_rows and turn % workers == rank:
        yield rows


@dataclass(frozen=True, kw_only=True)
class EvaluationBatches:
    """One worker's share of the first ``samples`` samples of a split, the same at every iteration.

    A micro-batch contains the same samples with any number of workers. A share is a sequence of consecutive micro-batches, so that all
    workers together read each row once. Every worker gets the same number of batches of the same size, or collectives would hang: padding
    rows fill the gaps; they have no image, weight zero and no key.
    """

    split: PlannedSplit
    collate: Collate
    micro_batch: int
    samples: int | None = None
    """Number of samples; None for all."""
    rank: int = 0
    workers: int = 1
    processes: int = 1
    ahead: int = 2

    def __iter__(self) -> Iterator[MicroBatch]:
        yield from made_ahead(self._numbered(), self.collate, processes=self.processes, ahead=self.ahead)

    def _numbered(self) -> Iterator[NumberedRows]:
        """Yield number and rows of every micro-batch."""
        rows = self.split.plan.rows
        counted = rows if self.samples is None else min(self.samples, rows)
        batches = -(-counted // self.micro_batch)
        share = -(-batches // self.workers)
        first = self.rank * share
        start, stop = first * self.micro_batch, min((first + share) * self.micro_batch, counted)
        made = 0
        if start < stop:
            for table in local_tables(self.split, start, stop, self.micro_batch):
                yield first + made, _filled(stream_rows(table), self.micro_batch)
                made += 1
        if made < share:
            filler = replace(next(iter(stream_rows(next(self.split.tables(0, 1))))), image=b"", key=NO_KEY)
            for number in range(first + made, first + share):
                yield number, [filler] * self.micro_batch


def _filled(rows: list[StreamRow], size: int) -> list[StreamRow]:
    """Pad rows to ``size``. A row without an image has weight zero and is never a partner."""
    return rows + [replace(rows[-1], image=b"", key=NO_KEY)] * (size - len(rows))
