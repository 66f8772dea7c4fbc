"""Rows of the stream: a slice of a window read, shuffled, joined with its links and the bundle's entity ids.

Only bytes, strings and integer lists: Arrow knows their size, and images stay encoded until a worker needs them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import StreamRow
from scaleout.links.manifest import LinksManifest
from scaleout.links.reader import check_alignment, read_links_checked
from scaleout.shards.manifest import ShardRecord
from scaleout.shards.reader import read_shard_checked
from scaleout.stream.mentions import Mentions
from scaleout.stream.plan import StreamPlan, WindowSlice

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
        ("modality", pa.string()),
        ("answer", pa.string()),
        ("answer_type", pa.string()),
    ]
)
"""One row per planned slot; ``StreamRow`` in Arrow's terms."""

_PASSED_ON = ("key", "shard", "image", "modality", "answer", "answer_type")


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """Reads slices of a plan. Picklable: it is what travels to Ray's tasks."""

    plan: StreamPlan
    shards: str
    """URI of the shards."""
    links: str
    """URI of the links."""
    links_manifest: LinksManifest
    entity_ids: Mapping[str, int]
    """Concept to entity id; concepts outside the vocabulary are left out."""
    corpus_negatives: bool = False
    """Give every row an image drawn from the whole split; every window then reads another one beside its own."""
    label_negated: bool = False
    """Whether what every text denies is an entity of the image all the same."""

    def read(self, window: WindowSlice) -> pa.Table:
        """The rows of a slice, in order, with the columns of ``ROW_SCHEMA``.

        Raises:
            DataError: a shard or its links are missing, truncated or altered, or do not belong together.
        """
        read = [self._read_shard(shard) for shard in window.shards]
        samples, links = pa.concat_tables([table for table, _ in read]), pa.concat_tables([table for _, table in read])
        chosen = self.plan.order(window)[window.skip : window.skip + window.rows]
        return self._join(samples, links, chosen, window)

    def _negatives(self, window: WindowSlice) -> pa.ChunkedArray:
        """An image for each row of the slice, drawn with replacement from as many shards of the split; empty where none is asked for."""
        if not self.corpus_negatives:
            return pa.chunked_array([pa.array([b""] * window.rows, pa.binary())])
        generator = keyed_generator(self.plan.seed, Purpose.NEGATIVES, window.epoch, window.shards[0].name)
        shards = generator.choice(len(self.plan.shards), size=len(window.shards), replace=False)
        read = [read_shard_checked(self.shards, self.plan.shards[index], verify_hash=True).column("image") for index in shards]
        images = pa.chunked_array([chunk for column in read for chunk in column.chunks])
        drawn = generator.integers(len(images), size=window.window_rows)
        return images.take(drawn[window.skip : window.skip + window.rows])

    def _read_shard(self, shard: ShardRecord) -> tuple[pa.Table, pa.Table]:
        """Samples of a shard with the shard's name, and the links of all their texts."""
        samples = read_shard_checked(self.shards, shard, verify_hash=True)
        links = read_links_checked(self.links, self.links_manifest.of_shard(shard.name), verify_hash=True)
        check_alignment(samples, links, shard.name)
        return samples.append_column("shard", pa.repeat(shard.name, samples.num_rows)), links

    def _join(self, samples: pa.Table, links: pa.Table, chosen: np.ndarray, window: WindowSlice) -> pa.Table:
        """The rows of the samples ``chosen``. Row t of ``links`` is of text t, counted over all samples."""
        texts = samples.column("texts").combine_chunks()
        counts = texts.value_lengths().to_numpy()
        first_text = np.cumsum(counts) - counts
        taken = samples.take(chosen)
        captions = first_text[chosen] + self._captions(taken.column("key").to_pylist(), counts[chosen].tolist(), window.epoch)
        mentions = Mentions.of(links, self.entity_ids)
        starts, ends, entities = mentions.spans(captions)
        sample_of_text = np.repeat(np.arange(samples.num_rows), counts)
        columns = {
            "position": np.arange(window.start, window.start + window.rows),
            "epoch": pa.repeat(window.epoch, window.rows),
            "text": texts.flatten().take(pa.array(captions)),
            "span_start": starts,
            "span_end": ends,
            "span_entity": entities,
            "image_entities": mentions.entities_of(chosen, sample_of_text, label_negated=self.label_negated),
            "negative_image": self._negatives(window),
            **{name: taken.column(name) for name in _PASSED_ON},
        }
        return pa.table({name: columns[name] for name in ROW_SCHEMA.names}).cast(ROW_SCHEMA)

    def _captions(self, keys: list[str], counts: list[int], epoch: int) -> np.ndarray:
        """int64, which of its ``counts`` texts each sample shows in this epoch."""
        draws = (
            keyed_generator(self.plan.seed, Purpose.CAPTION, epoch, key).integers(count) if count > 1 else 0
            for key, count in zip(keys, counts, strict=True)
        )
        return np.fromiter(draws, np.int64, len(keys))


def stream_rows(table: pa.Table) -> list[StreamRow]:
    """Arrow rows as the typed rows that a collate takes."""
    rows = []
    for row in table.to_pylist():
        spans = tuple(zip(row.pop("span_start"), row.pop("span_end"), row.pop("span_entity"), strict=True))
        rows.append(StreamRow(spans=spans, image_entities=tuple(row.pop("image_entities")), **row))
    return rows
