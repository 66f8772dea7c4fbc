"""The images of a split as names and perceptual hashes, to find duplicates without reading a shard."""

from dataclasses import dataclass

import numpy as np

from medvlp.duplicates.perceptual import WORDS
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.sidecar import read_all_samples


@dataclass(frozen=True, eq=False)
class ImageTable:
    """The distinct images of one split."""

    keys: tuple[str, ...]
    """Source identifier of the first sample with the image."""
    sources: tuple[str, ...]
    pictures: np.ndarray
    """Perceptual hashes, uint32 [N, W]."""
    samples: tuple[tuple[str, ...], ...]
    """Keys of all samples with the image."""

    def __len__(self) -> int:
        return len(self.keys)


def read_images(folder: str, manifest: ShardManifest, split: str) -> ImageTable:
    """Read all images of a split.

    Raises:
        DataError: a list is missing or damaged.
    """
    samples: dict[tuple[str, bytes], list[str]] = {}
    for table in read_all_samples(folder, manifest.shards_of(split), ["key", "source_id", "hash"]):
        pictures = table.column("hash").combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, WORDS)
        columns = table.column("key").to_pylist(), table.column("source_id").to_pylist(), pictures
        for key, source, picture in zip(*columns, strict=True):
            samples.setdefault((source, picture.tobytes()), []).append(key)
    pictures = np.frombuffer(b"".join(picture for _, picture in samples), dtype=np.uint32).reshape(-1, WORDS)
    keys = tuple(of_image[0] for of_image in samples.values())
    return ImageTable(keys, tuple(source for source, _ in samples), pictures, tuple(map(tuple, samples.values())))
