"""Rows of the stream: a slice of a window is read, shuffled, and joined with its links and the bundle's entity ids.

Only bytes, strings and integer lists: Arrow knows their size, and images stay encoded until a worker needs them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import ROW_COLUMNS, StreamRow, from_columns
from scaleout.links.reader import check_alignment, read_links_checked
from scaleout.shards.reader import read_shard_checked
from scaleout.stream.mentions import Mentions
from scaleout.stream.plan import PlannedShard, StreamPlan, WindowSlice

_INTEGERS = pa.list_(pa.int32())
ROW_SCHEMA = pa.schema(
    [
        ("position", pa.int64()),
        ("epoch", pa.int32()),
        ("key", pa.string()),
        ("shard", pa.string()),
        ("image", pa.binary()),
        ("text", pa.string()),
        ("span_start", _INTEGERS),
        ("span_end", _INTEGERS),
        ("span_entity", _INTEGERS),
        ("image_entities", _INTEGERS),
        ("negative_image", pa.binary()),
        *ROW_COLUMNS.items(),
    ]
)
"""One row per planned slot; ``StreamRow`` in Arrow's terms."""

_PASSED_ON = ("epoch", "key", "shard", "image", *ROW_COLUMNS)
_ATTRIBUTES = "attributes"


@dataclass(frozen=True, kw_only=True)
class CorpusFolders:
    """The folders of the shards and links of a corpus."""

    shards: str
    """URI."""
    links: str
    """URI."""
    label: str = ""
    """Prefix of its shard names, if several corpora have shards with the same names."""


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads slices of a plan. Picklable: it is sent to Ray tasks."""

    corpora: tuple[CorpusFolders, ...]
    """Folders of the corpora, in the order of the plan."""
    seed: int
    """Seed of all draws."""
    entity_ids: Mapping[str, int]
    """Concept to entity id; concepts outside the vocabulary are left out."""
    label_negated: bool = False
    """Whether an entity that every text negates is still an entity of the image."""
    attributes: bool = False
    """Whether rows include the attributes of their samples; otherwise the column is empty."""

    def read(self, window: WindowSlice) -> pa.Table:
        """Read the rows of a slice, in order, with the columns of ``ROW_SCHEMA``.

        Raises:
            DataError: a shard or its links are missing, truncated or altered, or do not belong together.
        """
        read = [self._read_shard(planned) for planned in window.shards]
        samples, links = pa.concat_tables([table for table, _ in read]), pa.concat_tables([table for _, table in read])
        return self._join(samples, links, window)

    def _negatives(self, window: WindowSlice) -> pa.ChunkedArray:
        """Draw an image for each row of the slice, with replacement, from as many shards of the split; empty if not requested."""
        if not window.negatives:
            return pa.chunked_array([pa.array([b""] * window.rows, pa.binary())])
        read = [self._read_samples(planned).column("image") for planned in window.negatives]
        images = pa.chunked_array([chunk for column in read for chunk in column.chunks])
        drawn = keyed_generator(self.seed, Purpose.NEGATIVES, *window.key, "rows").integers(len(images), size=window.window_rows)
        return images.take(drawn[window.skip : window.skip + window.rows])

    def _read_samples(self, planned: PlannedShard) -> pa.Table:
        samples = read_shard_checked(self.corpora[planned.corpus].shards, planned.shard)
        if self.attributes:
            return samples
        return samples.set_column(samples.schema.get_field_index(_ATTRIBUTES), _ATTRIBUTES, pa.repeat("", samples.num_rows))

    def _read_shard(self, planned: PlannedShard) -> tuple[pa.Table, pa.Table]:
        """Read the samples of a shard with the shard's name and epoch, and the links of all their texts."""
        samples, folders = self._read_samples(planned), self.corpora[planned.corpus]
        links = read_links_checked(folders.links, planned.links)
        check_alignment(samples, links, planned.shard.name)
        beside = {"shard": folders.label + planned.shard.name, "epoch": pa.scalar(planned.epoch, pa.int32())}
        for name, value in beside.items():
            samples = samples.append_column(name, pa.repeat(value, samples.num_rows))
        return samples, links

    def _join(self, samples: pa.Table, links: pa.Table, window: WindowSlice) -> pa.Table:
        """Join the rows of the slice. Row t of ``links`` belongs to text t, counted over all samples."""
        chosen = window.chosen()
        texts = samples.column("texts").combine_chunks()
        counts = texts.value_lengths().to_numpy()
        first_text = np.cumsum(counts) - counts
        taken = samples.take(chosen)
        captions = first_text[chosen] + self._captions(taken, counts[chosen].tolist())
        mentions = Mentions.of(links, self.entity_ids)
        starts, ends, entities = mentions.spans(captions)
        sample_of_text = np.repeat(np.arange(samples.num_rows), counts)
        columns = {
            "position": np.arange(window.start, window.start + window.rows),
            "text": texts.flatten().take(pa.array(captions)),
            "span_start": starts,
            "span_end": ends,
            "span_entity": entities,
            "image_entities": mentions.entities_of(chosen, sample_of_text, label_negated=self.label_negated),
            "negative_image": self._negatives(window),
            **{name: taken.column(name) for name in _PASSED_ON},
        }
        return pa.table({name: columns[name] for name in ROW_SCHEMA.names}).cast(ROW_SCHEMA)

    def _captions(self, samples: pa.Table, counts: list[int]) -> np.ndarray:
        """Choose which of its ``counts`` texts each sample shows in its epoch, int64."""
        draws = (
            keyed_generator(self.seed, Purpose.CAPTION, epoch, key).integers(count) if count > 1 else 0
            for epoch, key, count in zip(samples.column("epoch").to_pylist(), samples.column("key").to_pylist(), counts, strict=True)
        )
        return np.fromiter(draws, np.int64, len(counts))


@dataclass(frozen=True)
class PlannedSplit:
    """A split of one or several corpora: the order of its rows and their reader."""

    plan: StreamPlan
    reader: RowReader

    def tables(self, start: int, stop: int) -> Iterator[pa.Table]:
        """Yield the positions [start, stop), one table per slice of a window."""
        return (self.reader.read(window) for window in self.plan.slices(start, stop))


def stream_rows(table: pa.Table) -> list[StreamRow]:
    """Convert Arrow rows to the typed rows that a collate takes."""
    rows = []
    for row in table.to_pylist():
        spans = tuple(zip(row.pop("span_start"), row.pop("span_end"), row.pop("span_entity"), strict=True))
        entities = tuple(row.pop("image_entities"))
        known = from_columns({name: row.pop(name) for name in ROW_COLUMNS})
        rows.append(StreamRow(spans=spans, image_entities=entities, **known, **row))
    return rows
