"""A stream over the toy corpus: shards of uneven size, linked to two concepts."""

from pathlib import Path

import pyarrow as pa

from medvlp.knowledge.linker import DictionaryLinker
from medvlp.knowledge.ontology import Concept, Ontology
from scaleout.links.link import link_shards
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.prepare import prepare_shards
from scaleout.stream.plan import StreamPlan
from scaleout.stream.rows import RowReader
from tests.scaleout.shards.toy import ToyCorpus

ONTOLOGY = Ontology.build("toy", [Concept("T:1", "effusion"), Concept("T:2", "lump", ("nodule", "mass")), Concept("T:3", "left")], [])
ENTITY_IDS = {"T:1": 0, "T:2": 1}
"""The third concept is not in the vocabulary."""


def toy_reader(folder: Path, split: str = "train", seed: int = 0, corpus: ToyCorpus | None = None) -> RowReader:
    """Writes shards of 10 items and their links into ``folder``; 25 training and 10 validation samples."""
    shards, links = str(folder / "shards"), str(folder / "links")
    prepare_shards(corpus or ToyCorpus(), shards, samples_per_shard=10, vocabulary_size=0, run=map)
    links_manifest = link_shards(shards, ONTOLOGY, DictionaryLinker.build(ONTOLOGY), links, run=map)
    plan = StreamPlan.of_split(ShardManifest.load(shards), split, seed=seed, window_shards=2)
    return RowReader(plan=plan, shards=shards, links=links, links_manifest=links_manifest, entity_ids=ENTITY_IDS)


def read_all(reader: RowReader, start: int, stop: int) -> pa.Table:
    """The rows of positions [start, stop)."""
    return pa.concat_tables([reader.read(window) for window in reader.plan.slices(start, stop)])
