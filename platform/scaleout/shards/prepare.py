"""A corpus becomes a folder of shards: one task per shard, the manifest last."""

import tempfile
from pathlib import Path
from typing import Any

from medvlp.corpora.corpus import Corpus
from medvlp.corpora.splits import check_split
from medvlp.errors import DataError
from scaleout.io import resumable, storage
from scaleout.io.manifest import MANIFEST_FILE
from scaleout.io.record_table import RecordTable
from scaleout.io.resumable import RunTasks, ray_tasks
from scaleout.shards.card import write_card
from scaleout.shards.images import write_images
from scaleout.shards.manifest import FORMAT_VERSION, TOKENIZER_FOLDER, ShardManifest, ShardRecord, add_up
from scaleout.shards.reader import read_texts
from scaleout.shards.writer import ShardRange, pack_shard


def prepare_shards(
    corpus: Corpus,
    output: str,
    *,
    samples_per_shard: int = 1000,
    vocabulary_size: int = 8192,
    options: dict[str, Any] | None = None,
    overwrite: bool = False,
    run: RunTasks = ray_tasks,
) -> ShardManifest:
    """Write the shards of ``corpus``, train a tokenizer on its training texts, and write the manifest.

    Run again after a kill, it makes only what is missing; run again after success, it does nothing.

    Args:
        corpus: What to write.
        output: URI of the folder.
        samples_per_shard: Items of the corpus per shard; dropped ones count.
        vocabulary_size: Tokens of the byte-level BPE kept beside the shards; 0 for none.
        options: What the corpus was opened with: other options make other shards, and are not mixed with these.
        overwrite: Whether shards of another corpus or other options may be replaced.
        run: How to run the tasks.
    """
    splits = corpus.splits()
    if not any(splits.values()):
        raise DataError(f"corpus {corpus.name!r} holds no item; is --root the right folder?")
    ranges = plan_shards(splits, samples_per_shard)
    plan = {
        "version": FORMAT_VERSION,
        "corpus": corpus.name,
        "items": splits,
        "source": corpus.fingerprint,
        "options": options or {},
        "samples_per_shard": samples_per_shard,
        "vocabulary_size": vocabulary_size,
    }
    resumable.begin(output, plan, overwrite=overwrite)
    if storage.exists(storage.join(output, MANIFEST_FILE)):
        return ShardManifest.load(output)
    records = resumable.make_files(output, list(ranges), _PackShard(corpus, ranges, output), run)
    manifest = ShardManifest(
        corpus=corpus.name,
        public=corpus.public,
        shards=RecordTable.of_rows(ShardRecord, records),
        source=corpus.fingerprint,
        left_out=corpus.left_out,
        dropped=add_up(records, "dropped"),
        modalities=add_up(records, "modalities"),
        words=add_up(records, "words"),
    )
    if vocabulary_size and manifest.splits.get("train"):
        _train_tokenizer(output, manifest, vocabulary_size)
    write_card(output, manifest)
    manifest.save(output)
    resumable.finish(output)
    return manifest


def plan_shards(splits: dict[str, int], samples_per_shard: int) -> dict[str, ShardRange]:
    """The shards by name: every split cut into ranges, keys running on over all splits.

    Raises:
        DataError: a split has a name that could not begin the name of a file.
    """
    ranges = {}
    first_key = 0
    for split, items in splits.items():
        check_split(split)
        for number, start in enumerate(range(0, items, samples_per_shard)):
            stop = min(start + samples_per_shard, items)
            ranges[f"{split}-{number:05d}.tar"] = ShardRange(split, start, stop, first_key + start)
        first_key += items
    return ranges


class _PackShard:
    """Makes a shard by its name; what travels to the workers."""

    def __init__(self, corpus: Corpus, ranges: dict[str, ShardRange], output: str) -> None:
        self.corpus = corpus
        self.ranges = ranges
        self.output = output

    def __call__(self, name: str) -> tuple[bytes, dict[str, Any]]:
        packed = pack_shard(self.corpus, self.ranges[name])
        write_images(self.output, name, packed.images)  # before the shard: one that has a record has these too
        return packed.content, packed.counts


def _train_tokenizer(output: str, manifest: ShardManifest, vocabulary_size: int) -> None:
    from medvlp.data.tokenizer import train_tokenizer  # late: tasks import this module and would wait seconds for transformers

    tokenizer = train_tokenizer(read_texts(output, manifest, "train"), vocabulary_size)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        storage.upload_folder(Path(folder), storage.join(output, TOKENIZER_FOLDER))
