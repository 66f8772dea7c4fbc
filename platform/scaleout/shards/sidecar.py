"""The sidecar of a shard: its samples without images in a small file, for readers that need no images."""

from collections.abc import Iterator, Sequence
from functools import partial

import pyarrow as pa

from medvlp.data.sample import SAMPLE_COLUMNS
from medvlp.duplicates.perceptual import WORDS
from scaleout.io import storage
from scaleout.io.ahead import read_ahead
from scaleout.io.record_table import RecordTable
from scaleout.io.sidecar import read_sidecar
from scaleout.shards.manifest import ShardManifest, ShardRecord

SIDECAR_FOLDER = "samples"
SIDECAR_SCHEMA = pa.schema([("key", pa.string()), *SAMPLE_COLUMNS.items(), ("hash", pa.list_(pa.uint32(), WORDS))])
"""One row per sample, in the order of the shard; "hash" is the perceptual hash of its image."""


def sidecar_name(shard: str) -> str:
    """Return the name of the sidecar of a shard."""
    return f"{SIDECAR_FOLDER}/{shard.removesuffix('.tar')}.parquet"


def read_samples(folder: str, record: ShardRecord, columns: Sequence[str] | None = None) -> pa.Table:
    """Read the samples of a shard without images, with the columns of ``SIDECAR_SCHEMA``.

    Args:
        folder: folder of the shards.
        record: manifest record of the shard.
        columns: names of the columns to read; all if None.

    Raises:
        DataError: the file is missing, truncated or altered; the message names it.
    """
    return read_sidecar(
        storage.join(folder, sidecar_name(record.name)),
        SIDECAR_SCHEMA,
        what="samples",
        maker="jobs/prepare.py",
        size=record.sidecar_bytes,
        sha256=record.sidecar_sha256,
        columns=columns,
    )


def read_all_samples(folder: str, records: RecordTable[ShardRecord], columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield columns of the samples of many shards, one table per shard, in order; prefetches some, keeps few in memory."""
    return read_ahead(partial(read_samples, folder, columns=columns), records)


def read_texts(folder: str, manifest: ShardManifest, split: str) -> Iterator[str]:
    """Yield every text of a split, with a few shards in memory at a time."""
    for table in read_all_samples(folder, manifest.shards_of(split), ["texts"]):
        for texts in table.column("texts"):
            yield from texts.as_py()
