"""The images of a shard in a small file beside it: what duplicates are found by, without reading the shard."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from medvlp.duplicates.perceptual import WORDS
from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.shards.manifest import ShardManifest

IMAGES_FOLDER = "images"
_SCHEMA = pa.schema([("key", pa.string()), ("source_id", pa.string()), ("hash", pa.list_(pa.uint32(), WORDS))])


@dataclass(frozen=True)
class ImageRecord:
    """The image of a sample."""

    key: str
    source_id: str
    picture: np.ndarray
    """Perceptual hash, uint32 [W]."""


@dataclass(frozen=True, eq=False)
class ImageTable:
    """Images of one split, each once however many samples it has."""

    keys: tuple[str, ...]
    """Of the first sample with the image."""
    sources: tuple[str, ...]
    pictures: np.ndarray
    """Perceptual hashes, uint32 [N, W]."""
    samples: tuple[tuple[str, ...], ...]
    """Keys of all samples with the image."""

    def __len__(self) -> int:
        return len(self.keys)


def images_name(shard: str) -> str:
    """Where the images of a shard are listed."""
    return f"{IMAGES_FOLDER}/{shard.removesuffix('.tar')}.parquet"


def write_images(folder: str, shard: str, images: Sequence[ImageRecord]) -> None:
    """List the images of a shard."""
    rows = [{"key": image.key, "source_id": image.source_id, "hash": image.picture.tolist()} for image in images]
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA), buffer, compression="zstd")
    storage.write_bytes(storage.join(folder, images_name(shard)), buffer.getvalue())


def read_images(folder: str, manifest: ShardManifest, split: str) -> ImageTable:
    """All images of a split.

    Raises:
        DataError: a list is missing or damaged.
    """
    samples: dict[tuple[str, bytes], list[str]] = {}
    for record in manifest.shards_of(split):
        for key, source, picture in _rows(folder, record.name):
            samples.setdefault((source, picture), []).append(key)
    pictures = np.frombuffer(b"".join(picture for _, picture in samples), dtype=np.uint32).reshape(-1, WORDS)
    keys = tuple(of_image[0] for of_image in samples.values())
    return ImageTable(keys, tuple(source for source, _ in samples), pictures, tuple(map(tuple, samples.values())))


def _rows(folder: str, shard: str) -> Iterable[tuple[str, str, bytes]]:
    uri = storage.join(folder, images_name(shard))
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(storage.read_bytes(uri)))
        pictures = table.column("hash").combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, WORDS)
        columns = table.column("key").to_pylist(), table.column("source_id").to_pylist()
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{uri} is damaged; make the shards again with jobs/prepare.py") from error
    return zip(*columns, (picture.astype(np.uint32).tobytes() for picture in pictures), strict=True)
