"""A stream over the toy corpus: shards of uneven size, linked to two concepts."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.ontology import Concept, Ontology
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.plan import PlannedCorpus, StreamPlan
from scaleout.stream.rows import CorpusFolders, PlannedSplit, RowReader
from tests.scaleout.shards.toy import ToyCorpus

ONTOLOGY = Ontology.build("toy", [Concept("T:1", "effusion"), Concept("T:2", "lump", ("nodule", "mass")), Concept("T:3", "left")], [])
ENTITY_IDS = {"T:1": 0, "T:2": 1}
"""The third concept is not in the vocabulary."""


def toy_split(folder: Path, split: str = "train", seed: int = 0, corpus: ToyCorpus | None = None) -> PlannedSplit:
    """Writes shards of 10 items and their links into ``folder``; 25 training and 10 validation samples."""
    shards, links = str(folder / "shards"), str(folder / "links")
    prepare_shards(corpus or ToyCorpus(), shards, samples_per_shard=10, vocabulary_size=0, run=map)
    links_manifest = link_shards(shards, ONTOLOGY, DictionaryLinker.build(ONTOLOGY), links, run=map)
    return split_of(shards, links, links_manifest, split, seed=seed)


def split_of(
    shards: str, links: str, links_manifest: LinksManifest, split: str, *, seed: int = 0, entity_ids: Mapping[str, int] = ENTITY_IDS
) -> PlannedSplit:
    """A split of shards and links that were written."""
    corpus = PlannedCorpus.of_split(ShardManifest.load(shards), links_manifest, split)
    reader = RowReader(corpora=(CorpusFolders(shards=shards, links=links),), seed=seed, entity_ids=entity_ids)
    return PlannedSplit(StreamPlan(corpora=(corpus,), seed=seed, window_shards=2), reader)


def read_all(split: PlannedSplit, start: int, stop: int) -> pa.Table:
    """The rows of positions [start, stop)."""
    return pa.concat_tables(split.tables(start, stop))
