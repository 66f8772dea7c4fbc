"""The input of ``performance/plan.py``: a few real shards under very many names, with manifests that list them all."""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from medvlp.corpora.phantom import PhantomCorpus, phantom_ontology_path
from medvlp.data.sample import Sample
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.knowledge.transe import TransEConfig
from medvlp.knowledge.vocabulary import build_bundle
from scaleout.io.record_table import RecordTable
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest, LinksRecord
from scaleout.runs.config import DataConfig, RunConfig, TrainConfig
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.shards.prepare import prepare_shards

DISTINCT = 2
"""Number of shards that are actually written."""
FOLDER_FILES = 1000
"""Number of names in a folder; all folders are links to a single one."""


@dataclass(frozen=True)
class RepeatedPhantoms(PhantomCorpus):
    """A few phantoms, repeated: drawing each one would take hours."""

    name: str = field(default="repeated-phantoms", init=False)
    drawn: int = 64

    @cached_property
    def _samples(self) -> list[Sample]:
        return [super(RepeatedPhantoms, self).sample("train", index) for index in range(min(self.drawn, self.train))]

    def sample(self, split: str, index: int) -> Sample:
        """See ``Corpus``."""
        return self._samples[index % len(self._samples)]


def write_source(folder: Path, *, shards: int, samples_per_shard: int, micro_batch: int) -> RunConfig:
    """Write manifests of ``shards`` readable training shards in ``folder``; return a run that reads them."""
    ontology = read_ontologies([phantom_ontology_path()])
    corpus = RepeatedPhantoms(train=DISTINCT * samples_per_shard, validation=100, test=0)
    uris = {name: str(folder / name) for name in ("shards", "links", "knowledge")}
    real = prepare_shards(corpus, uris["shards"], samples_per_shard=samples_per_shard, vocabulary_size=600, run=map)
    links = link_shards(uris["shards"], ontology, DictionaryLinker.build(ontology), uris["links"], run=map)
    _repeat(folder, real, links, shards)
    transe = TransEConfig(width=32, epochs=1)
    links = LinksManifest.load(uris["links"])
    bundle, _ = build_bundle(
        ontology, links.counts, minimum_count=1, links_fingerprint=links.fingerprint, linker=links.linker_version, transe=transe
    )
    bundle.save(folder / "knowledge")
    return RunConfig(
        name="plan",
        storage=str(folder / "runs"),
        knowledge=uris["knowledge"],
        data=DataConfig(shards=uris["shards"], links=uris["links"]),
        train=TrainConfig(max_steps=10**12, global_batch=micro_batch, micro_batch=micro_batch),
    )


def _repeat(folder: Path, shards: ShardManifest, links: LinksManifest, count: int) -> None:
    """Give the training shards, and their links, ``count`` names, and write the manifests that list all of them."""
    places = np.concatenate([np.arange(count) % DISTINCT, np.arange(DISTINCT, len(shards.shards))])
    for manifest_folder, records, suffix in ((folder / "shards", shards.shards, "tar"), (folder / "links", links.files, "parquet")):
        files = manifest_folder / "files"
        files.mkdir()
        for number in range(min(FOLDER_FILES, count)):
            os.link(manifest_folder / records[number % DISTINCT].name, files / f"{number:03d}.{suffix}")
        for number in range(1, -(-count // FOLDER_FILES)):
            (manifest_folder / f"files-{number}").symlink_to(files)
    many_shards = _renamed(ShardRecord, shards.shards.take(places), count, "tar")
    repeated = replace(shards, shards=many_shards)
    repeated.save(str(folder / "shards"))
    replace(links, files=_renamed(LinksRecord, links.files.take(places), count, "parquet"), shards_fingerprint=repeated.fingerprint).save(
        str(folder / "links")
    )


def _renamed(kind: type, records: RecordTable, count: int, suffix: str) -> RecordTable:
    """Return ``count`` records with unique names."""
    folders = ["files", *(f"files-{number}" for number in range(1, -(-count // FOLDER_FILES)))]
    names = [f"{folders[number // FOLDER_FILES]}/{number % FOLDER_FILES:03d}.{suffix}" for number in range(count)]
    rows = ({**vars(record), "name": name} for record, name in zip(records, names, strict=False))
    return RecordTable.of_rows(kind, [*rows, *map(vars, records[count:])])
