"""Convert a corpus to a folder of shards: one task per shard, the manifest last."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from medvlp.corpora.corpus import Corpus
from medvlp.corpora.source.limit import is_within, too_many
from medvlp.corpora.splits import TRAIN, check_split
from medvlp.data.sample import Dropped, Excluded
from medvlp.errors import DataError
from scaleout.io import resumable, storage
from scaleout.io.manifest import MANIFEST_FILE
from scaleout.io.record_table import RecordTable
from scaleout.io.resumable import RunTasks, ray_tasks
from scaleout.io.sidecar import pack_sidecar
from scaleout.shards.card import write_card
from scaleout.shards.leave_out import LeftOutItems
from scaleout.shards.manifest import FORMAT_VERSION, KEY_DIGITS, TOKENIZER_FOLDER, ShardManifest, ShardRecord, Tally, first_key
from scaleout.shards.sidecar import read_texts, sidecar_name
from scaleout.shards.writer import ShardRange, check_image, pack_shard


def prepare_shards(
    corpus: Corpus,
    output: str,
    *,
    samples_per_shard: int = 1000,
    vocabulary_size: int = 8192,
    options: dict[str, Any] | None = None,
    leave_out: LeftOutItems | None = None,
    overwrite: bool = False,
    run: RunTasks = ray_tasks,
) -> ShardManifest:
    """Write the shards of ``corpus``, train a tokenizer on its training texts, and write the manifest.

    After a kill, a second run makes only what is missing; after success, it does nothing.

    Args:
        corpus: The corpus to write.
        output: URI of the folder.
        samples_per_shard: Items of the corpus per shard; dropped ones count.
        vocabulary_size: Vocabulary size of the byte-level BPE stored with the shards; 0 for none.
        options: The options of the corpus; shards with different options are not mixed.
        leave_out: Items that are left out on request.
        overwrite: Whether shards of another corpus or other options may be replaced.
        run: How to run the tasks.

    Raises:
        DataError: too many rows are bad, or no sample is left for training.
    """
    leave_out = leave_out or LeftOutItems()
    splits = corpus.splits()
    if not any(splits.values()):
        raise DataError(f"corpus {corpus.name!r} has no items; is --root the right folder?")
    ranges = ShardRanges(splits, samples_per_shard)
    plan = {
        "version": FORMAT_VERSION,
        "corpus": corpus.name,
        "items": splits,
        "source": leave_out.source(corpus),
        "options": options or {},
        "samples_per_shard": samples_per_shard,
        "vocabulary_size": vocabulary_size,
    }
    resumable.begin(output, plan, overwrite=overwrite)
    if storage.exists(storage.join(output, MANIFEST_FILE)):
        return ShardManifest.load(output)
    tally = Tally("dropped", "modalities", "words", "bad")
    records = resumable.make_files(output, list(ranges), partial(_pack_shard, corpus, ranges, leave_out, output), run)
    manifest = ShardManifest(
        corpus=corpus.name,
        public=corpus.public,
        shards=RecordTable.of_rows(ShardRecord, tally.over(records)),
        source=leave_out.source(corpus),
        left_out=corpus.left_out,
        dropped=tally["dropped"],
        modalities=tally["modalities"],
        words=tally["words"],
    )
    _check(corpus, manifest, tally["bad"], leave_out)
    if vocabulary_size and manifest.splits.get(TRAIN):
        _train_tokenizer(output, manifest, vocabulary_size)
    write_card(output, manifest, corpus.grouping)
    manifest.save(output)
    resumable.finish(output)
    return manifest


@dataclass(frozen=True)
class ShardRanges:
    """The shards of a corpus by name: every split is divided into ranges, with consecutive keys. Its size does not grow."""

    splits: Mapping[str, int]
    samples_per_shard: int

    def __post_init__(self) -> None:
        """Check the parts of names and keys.

        Raises:
            DataError: a split name cannot begin a file name, or there are more items than keys.
        """
        for split in self.splits:
            check_split(split)
        if sum(self.splits.values()) > 10**KEY_DIGITS:
            raise DataError(f"{sum(self.splits.values()):,} items exceed the number of keys of a folder of shards; divide the corpus")

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names, in the order of the keys."""
        for split, items in self.splits.items():
            for number in range(-(-items // self.samples_per_shard)):
                yield f"{split}-{number:05d}.tar"

    def __getitem__(self, name: str) -> ShardRange:
        """Return the items of a shard."""
        split, number = name.removesuffix(".tar").rsplit("-", 1)
        start = int(number) * self.samples_per_shard
        first = first_key(self.splits, split) + start
        return ShardRange(split, start, min(start + self.samples_per_shard, self.splits[split]), first)


def _pack_shard(corpus: Corpus, ranges: ShardRanges, leave_out: LeftOutItems, output: str, name: str) -> tuple[bytes, dict[str, Any]]:
    """Make a shard by its name; what travels to the workers."""
    packed = pack_shard(corpus, ranges[name], leave_out)
    sidecar = pack_sidecar(packed.samples)
    storage.write_bytes(storage.join(output, sidecar_name(name)), sidecar)  # first: a shard that has a record has this too
    beside = {"sidecar_bytes": len(sidecar), "sidecar_sha256": hashlib.sha256(sidecar).hexdigest()}
    return packed.content, {**packed.counts, **beside}


def _check(corpus: Corpus, manifest: ShardManifest, bad: Mapping[str, Mapping[str, int]], leave_out: LeftOutItems) -> None:
    """Check what only the decoded images show."""
    leave_out.check_groups(manifest.dropped)
    reasons: Counter[str] = Counter({"row does not match its schema": corpus.rejected} if corpus.rejected else {})
    for of_split in bad.values():
        reasons.update(of_split)
    items = corpus.splits()
    rows = sum(items.values()) + corpus.rejected
    if not is_within(reasons.total(), rows, corpus.maximum_missing):
        remedy = "Correct their files and run the job again with --overwrite"
        raise too_many(f"rows of corpus {corpus.name!r}", reasons, rows, remedy, _first_bad(corpus, leave_out))
    if not manifest.splits.get(TRAIN) and (items.get(TRAIN) or not any(manifest.splits.values())):
        dropped = "; ".join(f"{count} × {reason}" for of_split in manifest.dropped.values() for reason, count in of_split.items())
        raise DataError(f"no sample of corpus {corpus.name!r} is left for training: {dropped}. Change its options or correct its files")


def _first_bad(corpus: Corpus, leave_out: LeftOutItems) -> str:
    for split, items in corpus.splits().items():
        for index in range(items):
            try:
                check_image(leave_out.sample(corpus, split, index).image)
            except Excluded:
                continue
            except Dropped as drop:
                return f"{corpus.where(split, index)}: {drop.reason}"
    return "in the log"


def _train_tokenizer(output: str, manifest: ShardManifest, vocabulary_size: int) -> None:
    from medvlp.data.tokenizer import train_tokenizer  # late: Ray tasks import this module, and transformers takes seconds

    tokenizer = train_tokenizer(read_texts(output, manifest, TRAIN), vocabulary_size)
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        storage.upload_folder(Path(folder), storage.join(output, TOKENIZER_FOLDER))
