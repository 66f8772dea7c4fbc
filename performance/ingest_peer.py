"""The peer of the stream: plain ``webdataset`` and torch's DataLoader, with the links joined by key."""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet
import webdataset

from medvlp.data.batch import Batch
from medvlp.data.sample import StreamRow
from medvlp.knowledge.linker.dictionary import Span, leftmost_longest
from performance.ingest_source import Source
from scaleout.links.link import links_name

SHUFFLED = 1000
"""Samples of the shuffling buffer: as many as the stream's windows hold."""


def webdataset_batches(source: Source, workers: int) -> Iterator[Batch]:
    """Yield endless batches from ``workers`` processes; with 0 from this process."""
    shards = sorted(str(path) for path in Path(source.shards).glob("*.tar"))
    dataset = (
        webdataset.WebDataset(shards, shardshuffle=len(shards), seed=0)
        .compose(partial(joined, source=source))
        .repeat()
        .shuffle(SHUFFLED)
        .batched(source.micro_batch, collation_fn=source.collate(), partial=False)
    )
    return iter(webdataset.WebLoader(dataset, batch_size=None, num_workers=workers))


def joined(samples: Iterable[dict[str, Any]], source: Source) -> Iterator[StreamRow]:
    """Yield samples with a drawn caption, joined with the links of their shard."""
    shard, links = "", {}
    for position, sample in enumerate(samples):
        if sample["__url__"] != shard:
            shard = sample["__url__"]
            links = _links_by_key(str(Path(source.links, links_name(Path(shard).name))))
        metadata, texts = json.loads(sample["json"]), links[sample["__key__"]]
        index = random.randrange(len(metadata["texts"]))
        mentions = [_mentions(text, source.entity_ids) for text in texts]
        yield StreamRow(
            position=position,
            epoch=0,
            key=sample["__key__"],
            shard=shard,
            image=sample["jpg"],
            text=metadata["texts"][index],
            spans=tuple((span.start, span.end, source.entity_ids[span.concept]) for span in leftmost_longest(mentions[index])),
            image_entities=tuple(sorted({source.entity_ids[span.concept] for found in mentions for span in found if not span.negated})),
            modality=metadata["modality"],
            answers=tuple(metadata["answers"]),
            answer_type=metadata["answer_type"],
        )


def _links_by_key(path: str) -> dict[str, list[dict[str, Any]]]:
    by_key: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in pyarrow.parquet.read_table(path).to_pylist():
        by_key[row["key"]].append(row)
    return by_key


def _mentions(text: dict[str, Any], entity_ids: dict[str, int]) -> list[Span]:
    columns = zip(text["start"], text["end"], text["concept"], text["negated"], strict=True)
    return [Span(*column) for column in columns if column[2] in entity_ids]
