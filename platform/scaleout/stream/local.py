"""The same stream without Ray: for one machine, for validation, for tests."""

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa

from medvlp.data.batch import Batch
from scaleout.stream.batches import Collate
from scaleout.stream.rows import ROW_SCHEMA, PlannedSplit, stream_rows


def local_tables(split: PlannedSplit, start: int, stop: int, micro_batch: int, *, rank: int, workers: int) -> Iterator[pa.Table]:
    """The micro-batches of one of ``workers`` workers, dealt in turn from ``start`` on, read in this process.

    ``stop - start`` is a multiple of ``micro_batch``.
    """
    rows, turn = ROW_SCHEMA.empty_table(), 0
    for table in split.tables(start, stop):
        rows = pa.concat_tables([rows, table])
        while rows.num_rows >= micro_batch:
            if turn % workers == rank:
                yield rows.slice(0, micro_batch)
            rows, turn = rows.slice(micro_batch), turn + 1


def validation_batches(
    split: PlannedSplit, collate: Collate, micro_batch: int, samples: int, *, rank: int, workers: int
) -> Iterator[Batch]:
    """One worker's share of the first ``samples`` samples, the same ones at every validation.

    Every worker gets the same number of batches, or collectives would hang: the last ones are filled up with rows of weight zero.
    """
    counted = min(samples, split.plan.rows)
    turn = micro_batch * workers
    stop = -(-counted // turn) * turn
    for table in local_tables(split, 0, stop, micro_batch, rank=rank, workers=workers):
        rows = stream_rows(table)
        # Without an image a row weighs nothing and is nobody's partner.
        yield collate([row if row.position < counted else replace(row, image=b"") for row in rows])
