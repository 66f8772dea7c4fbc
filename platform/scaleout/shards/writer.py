"""Write one shard: a range of items of a corpus as a tar file, with the same bytes every time."""

import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from webdataset import TarWriter

from medvlp.corpora.corpus import Corpus
from medvlp.data.rgb import UndecodableImage, file_extension
from medvlp.data.sample import Dropped, Excluded, Sample, count_words, to_columns
from medvlp.duplicates.perceptual import perceptual_hash
from scaleout.shards.leave_out import LeftOutItems
from scaleout.shards.manifest import sample_key
from scaleout.shards.sidecar import SIDECAR_SCHEMA


@dataclass(frozen=True)
class ShardRange:
    """The items [start, stop) of a split; the key of an item is ``first_key`` plus its index in the range."""

    split: str
    start: int
    stop: int
    first_key: int


@dataclass(frozen=True)
class PackedShard:
    """The result of packing a range."""

    content: bytes
    """The tar file."""
    counts: dict[str, Any]
    """Counts for its ``ShardRecord``."""
    samples: pa.Table
    """Its samples without images, with the columns of ``SIDECAR_SCHEMA``."""


def pack_shard(corpus: Corpus, items: ShardRange, leave_out: LeftOutItems | None = None) -> PackedShard:
    """Write the samples of a range as a tar file.

    Every image is decoded once. An item is counted by reason, and its key stays unused, if its image cannot be decoded or the rules of the
    corpus exclude it. So a shard depends only on its own items.
    """
    leave_out = leave_out or LeftOutItems()
    dropped: Counter[str] = Counter()
    bad: Counter[str] = Counter()
    modalities: Counter[str] = Counter()
    words: Counter[int] = Counter()
    rows = []
    buffer = io.BytesIO()
    # A fractional time would give every member a second header.
    with TarWriter(buffer, user="medvlp", group="medvlp", encoder=False, mtime=0) as tar:
        for offset, index in enumerate(range(items.start, items.stop)):
            try:
                sample = leave_out.sample(corpus, items.split, index)
                extension, picture = check_image(sample.image)
            except Dropped as drop:
                dropped[drop.reason] += 1
                if not isinstance(drop, Excluded):
                    bad[drop.reason] += 1
                continue
            key = sample_key(items.first_key + offset)
            _write_sample(tar, key, sample, extension)
            rows.append({"key": key, **to_columns(sample), "hash": picture.tolist()})
            modalities[sample.modality] += 1
            words.update(count_words(text) for text in sample.texts)
    counts = {
        "split": items.split,
        "first_key": items.first_key,
        "rows": modalities.total(),
        "texts": words.total(),
        "dropped": dict(sorted(dropped.items())),
        "bad": dict(sorted(bad.items())),
        "modalities": dict(sorted(modalities.items())),
        "words": {str(number): texts for number, texts in sorted(words.items())},
    }
    return PackedShard(buffer.getvalue(), counts, pa.Table.from_pylist(rows, schema=SIDECAR_SCHEMA))


def check_image(encoded: bytes) -> tuple[str, np.ndarray]:
    """Decode an encoded image; return its file extension, "jpg" or "png", and its perceptual hash.

    Raises:
        Dropped: the image cannot be decoded, has another format, or is implausibly large.
    """
    try:
        return file_extension(encoded), perceptual_hash(encoded)
    except UndecodableImage as error:
        raise Dropped(error.reason) from error


def _write_sample(tar: TarWriter, key: str, sample: Sample, extension: str) -> None:
    tar.write({"__key__": key, extension: sample.image})  # separately: the writer sorts members, and the image must come first
    tar.write({"__key__": key, "json": sample.metadata()})
