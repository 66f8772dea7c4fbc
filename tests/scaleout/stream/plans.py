"""Plans over shards that are only records."""

from collections.abc import Sequence

from scaleout.io.record_table import RecordTable
from scaleout.links.manifest import LinksRecord
from scaleout.shards.manifest import ShardRecord
from scaleout.stream.plan import PlannedCorpus, StreamPlan


def shard_record(number: int, rows: int, split: str = "train") -> ShardRecord:
    return ShardRecord(
        name=f"{split}-{number:05d}.tar",
        split=split,
        first_key=100 * number,
        rows=rows,
        texts=rows,
        bytes=1,
        sha256=bytes(32),
        sidecar_bytes=1,
        sidecar_sha256=bytes(32),
    )


def links_record(shard: ShardRecord) -> LinksRecord:
    return LinksRecord(name=shard.name.replace(".tar", ".parquet"), texts=shard.texts, bytes=1, sha256=bytes(32))


def corpus_of(rows: Sequence[int], weight: float = 1.0) -> PlannedCorpus:
    """A corpus of shards with so many rows."""
    shards = [shard_record(number, count) for number, count in enumerate(rows)]
    links = [links_record(shard) for shard in shards]
    return PlannedCorpus(shards=RecordTable.of(ShardRecord, shards), links=RecordTable.of(LinksRecord, links), weight=weight)


def plan_of(rows: Sequence[int], *, seed: int = 0, window_shards: int = 1, shuffle: bool = True) -> StreamPlan:
    """A plan over one corpus."""
    return StreamPlan(corpora=(corpus_of(rows),), seed=seed, window_shards=window_shards, shuffle=shuffle)
