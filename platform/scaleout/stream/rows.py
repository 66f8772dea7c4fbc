"""Rows of the stream: a slice of a window read, shuffled, joined with its links and the bundle's entity ids.

Only bytes, strings and integer lists: Arrow knows their size, and images stay encoded until a worker needs them.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import starmap

import pyarrow as pa

from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import StreamRow
from medvlp.knowledge.linker import Span, leftmost_longest
from scaleout.links.manifest import LinksManifest
from scaleout.links.reader import check_alignment, read_links_checked
from scaleout.shards.manifest import ShardRecord
from scaleout.shards.reader import read_shard_checked
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

_PASSED_ON = ("key", "shard", "image", "negative_image", "modality", "answer", "answer_type")


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
    rows_per_table: int = 256

    def read(self, window: WindowSlice) -> Iterator[pa.Table]:
        """The rows of a slice, in order, a few at a time, with the columns of ``ROW_SCHEMA``.

        Raises:
            DataError: a shard or its links are missing, truncated or altered, or do not belong together.
        """
        read = [self._read_shard(shard) for shard in window.shards]
        samples = pa.concat_tables([table for table, _ in read])
        links = [row for _, rows in read for row in rows]
        chosen = self.plan.order(window)[window.skip : window.skip + window.rows]
        negatives = self._negatives(window)
        for first in range(0, len(chosen), self.rows_per_table):
            part = chosen[first : first + self.rows_per_table]
            taken = samples.take(part).append_column("negative_image", negatives.slice(first, len(part)))
            yield self._join(taken, [links[index] for index in part], window.epoch, window.start + first)

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

    def _read_shard(self, shard: ShardRecord) -> tuple[pa.Table, list[list[dict]]]:
        """Samples of a shard with the shard's name, and the links of all texts of each sample."""
        samples = read_shard_checked(self.shards, shard, verify_hash=True)
        links = read_links_checked(self.links, self.links_manifest.of_shard(shard.name), verify_hash=True)
        check_alignment(samples, links, shard.name)
        by_key: dict[str, list[dict]] = defaultdict(list)
        for row in links.to_pylist():
            by_key[row["key"]].append(row)
        names = pa.array([shard.name] * samples.num_rows, pa.string())
        return samples.append_column("shard", names), [by_key[key] for key in samples.column("key").to_pylist()]

    def _join(self, samples: pa.Table, links: list[list[dict]], epoch: int, start: int) -> pa.Table:
        columns: dict[str, list] = {name: [] for name in ROW_SCHEMA.names if name not in _PASSED_ON}
        texts = samples.column("texts").to_pylist()
        for offset, (key, candidates, rows) in enumerate(zip(samples.column("key").to_pylist(), texts, links, strict=True)):
            index = int(keyed_generator(self.plan.seed, Purpose.CAPTION, epoch, key).integers(len(candidates)))
            spans = leftmost_longest(self._mentions(rows[index]))
            columns["position"].append(start + offset)
            columns["epoch"].append(epoch)
            columns["text"].append(candidates[index])
            columns["span_start"].append([span.start for span in spans])
            columns["span_end"].append([span.end for span in spans])
            columns["span_entity"].append([self.entity_ids[span.concept] for span in spans])
            columns["image_entities"].append(self._image_entities(rows))
        passed_on = {name: samples.column(name) for name in _PASSED_ON}
        return pa.table({name: passed_on.get(name, columns.get(name)) for name in ROW_SCHEMA.names}, schema=ROW_SCHEMA)

    def _mentions(self, row: dict) -> list[Span]:
        """What a text mentions of the vocabulary; overlapping mentions too."""
        columns = (row[name] for name in ("start", "end", "concept", "negated"))
        return [span for span in starmap(Span, zip(*columns, strict=True)) if span.concept in self.entity_ids]

    def _image_entities(self, rows: list[dict]) -> list[int]:
        """What any text of the image mentions and does not deny."""
        mentions = (span for row in rows for span in self._mentions(row))
        return sorted({self.entity_ids[span.concept] for span in mentions if self.label_negated or not span.negated})


def stream_rows(table: pa.Table) -> list[StreamRow]:
    """Arrow rows as the typed rows that a collate takes."""
    rows = []
    for row in table.to_pylist():
        spans = tuple(zip(row.pop("span_start"), row.pop("span_end"), row.pop("span_entity"), strict=True))
        rows.append(StreamRow(spans=spans, image_entities=tuple(row.pop("image_entities")), **row))
    return rows
