"""Link every text of every shard: one task and one Parquet file per shard, the manifest last."""

from collections import Counter
from functools import partial
from typing import Any

import pyarrow as pa

from medvlp.knowledge.linker.dictionary import Linker
from medvlp.knowledge.ontology import Ontology
from scaleout.io import resumable, storage
from scaleout.io.manifest import MANIFEST_FILE
from scaleout.io.record_table import RecordTable
from scaleout.io.resumable import RunTasks, ray_tasks
from scaleout.io.sidecar import pack_sidecar
from scaleout.links.manifest import FORMAT_VERSION, LinksManifest, LinksRecord
from scaleout.links.reader import LINKS_SCHEMA
from scaleout.shards.manifest import ShardManifest, ShardRecord, Tally
from scaleout.shards.sidecar import read_samples


def link_shards(
    shards: str,
    ontology: Ontology,
    linker: Linker,
    output: str,
    *,
    overwrite: bool = False,
    run: RunTasks = ray_tasks,
) -> LinksManifest:
    """Link the texts of all ``shards`` and write the results to ``output``.

    Run again after a kill, it makes only what is missing; run again after success, it does nothing.

    Args:
        shards: URI of the shards; only read.
        ontology: What ``linker`` was built from.
        linker: The linker that finds concepts.
        output: URI of the links.
        overwrite: Whether links of other shards, or by another ontology or linker, may be replaced.
        run: How to run the tasks.
    """
    shard_manifest = ShardManifest.load(shards)
    identity: dict[str, Any] = {
        "ontology": ontology.name,
        "ontology_fingerprint": ontology.fingerprint,
        "linker": linker.name,
        "linker_version": linker.version,
        "shards_fingerprint": shard_manifest.fingerprint,
    }
    resumable.begin(output, {"version": FORMAT_VERSION, **identity}, overwrite=overwrite)
    if storage.exists(storage.join(output, MANIFEST_FILE)):
        return LinksManifest.load(output)
    names = [links_name(shard) for shard in shard_manifest.shards.strings("name")]
    tally = Tally("mentions", "found")
    records = resumable.make_files(output, names, partial(_link_shard, shards, shard_manifest.shards, linker), run)
    files = RecordTable.of_rows(LinksRecord, tally.over(records))
    found = sum(map(Counter, tally["found"].values()), Counter())
    manifest = LinksManifest(
        **identity,
        counts=tally["mentions"].get("train", {}),
        files=files,
        linked_texts=found["linked_texts"],
        spans=found["spans"],
        negated_spans=found["negated_spans"],
    )
    manifest.save(output)
    resumable.finish(output)
    return manifest


def links_name(shard: str) -> str:
    """Return the name of the file with the links of a shard."""
    return f"{shard.removesuffix('.tar')}.parquet"


def link_texts(samples: pa.Table, linker: Linker) -> pa.Table:
    """Link the samples of a shard: one row per sample and text, with the columns of ``LINKS_SCHEMA``."""
    rows = []
    for key, texts in zip(samples.column("key").to_pylist(), samples.column("texts").to_pylist(), strict=True):
        for index, text in enumerate(texts):
            spans = linker.link(text)
            rows.append(
                {
                    "key": key,
                    "text": index,
                    "start": [span.start for span in spans],
                    "end": [span.end for span in spans],
                    "concept": [span.concept for span in spans],
                    "negated": [span.negated for span in spans],
                }
            )
    return pa.Table.from_pylist(rows, schema=LINKS_SCHEMA)


def _link_shard(folder: str, shards: RecordTable[ShardRecord], linker: Linker, name: str) -> tuple[bytes, dict[str, Any]]:
    """Make the links of a shard by the name of their file; what travels to the workers."""
    shard = shards.named(f"{name.removesuffix('.parquet')}.tar")
    table = link_texts(read_samples(folder, shard, ["key", "texts"]), linker)
    concepts = table.column("concept").to_pylist()
    mentions = Counter(concept for row in concepts for concept in row)
    found = {
        "linked_texts": sum(1 for row in concepts if row),
        "spans": mentions.total(),
        "negated_spans": sum(denied for row in table.column("negated").to_pylist() for denied in row),
    }
    details = {"split": shard.split, "texts": table.num_rows, "found": found, "mentions": dict(sorted(mentions.items()))}
    return pack_sidecar(table), details
