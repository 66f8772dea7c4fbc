"""Shards that are not what they should be."""

import io
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from webdataset import TarWriter

from medvlp.corpora.phantom import phantom_ontology_path
from medvlp.knowledge.linker.dictionary import DictionaryLinker
from medvlp.knowledge.readers.registry import read_ontologies
from scaleout.io.record_table import RecordTable
from scaleout.links.link import link_shards
from scaleout.shards.manifest import ShardManifest, ShardRecord
from tests.jobs.tiny import Artefacts


def copy_shards(artefacts: Artefacts, folder: Path) -> Path:
    """The shards, free to be damaged."""
    return Path(shutil.copytree(artefacts.shards, folder / "shards"))


def with_broken_images(artefacts: Artefacts, folder: Path, is_broken: Callable[[int], bool]) -> Artefacts:
    """Shards with a correct manifest in which the images of some keys do not decode, and their links."""
    shards = copy_shards(artefacts, folder)
    manifest = ShardManifest.load(str(shards))
    records = []
    for record in manifest.shards:
        content = _broken(shards / record.name, is_broken)
        (shards / record.name).write_bytes(content)
        records.append(replace(record, bytes=len(content), sha256=sha256(content).digest()))
    replace(manifest, shards=RecordTable.of(ShardRecord, records)).save(str(shards))
    ontology = read_ontologies([phantom_ontology_path()])
    links = str(folder / "links")
    link_shards(str(shards), ontology, DictionaryLinker.build(ontology), links, run=map)
    return Artefacts(str(shards), links, artefacts.knowledge)


def _broken(path: Path, is_broken: Callable[[int], bool]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(path) as source, TarWriter(buffer, encoder=False) as target:
        for member in source:
            file = source.extractfile(member)
            assert file is not None
            content = file.read()
            key, extension = member.name.split(".")
            if extension != "json" and is_broken(int(key)):
                content = content[:40]
            target.write({"__key__": key, extension: content})
    return buffer.getvalue()
