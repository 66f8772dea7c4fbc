"""Images that occur twice: in two splits of a corpus, or in a corpus and in a benchmark's test set."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from medvlp.duplicates.perceptual import find_matches
from scaleout.shards.images import ImageTable, read_images
from scaleout.shards.manifest import ShardManifest

_PUBLIC_ID = re.compile(r"synpic\d+|ROCO(?:v2_2023_(?:train|valid|test))?_\d+|[0-9a-f]{40}_\d+-\w+?-\d+|[0-9a-f]{8}(?:-[0-9a-f]{8}){4}")
"""Image names that other corpora keep when they reuse an image: of MedPix, ROCO, ROCOv2, MedICaT, MIMIC-CXR."""


@dataclass(frozen=True)
class Overlap:
    """The images of one set that another set contains too."""

    images: int
    """Number of images in the first set."""
    by_name: Mapping[int, int]
    """Row in the second set by row in the first set, for images with the same name."""
    by_picture: Mapping[int, int]
    """The same for images with the same picture, whatever their names."""

    @property
    def rows(self) -> list[int]:
        """Return the rows in the first set that were found either way."""
        return sorted({*self.by_name, *self.by_picture})

    def pairs(self, first: ImageTable, second: ImageTable) -> list[dict[str, str]]:
        """Return the names of both images of each match, and how it was found: by name, by picture, by both."""
        found = []
        for row in self.rows:
            ways = [way for way, matches in (("name", self.by_name), ("picture", self.by_picture)) if row in matches]
            other = self.by_name.get(row, self.by_picture.get(row, 0))
            found.append({"image": first.sources[row], "benchmark_image": second.sources[other], "by": " and ".join(ways)})
        return found

    def summary(self) -> dict[str, int]:
        """Return the counts."""
        return {
            "images": self.images,
            "shared": len(self.rows),
            "by_name": len(self.by_name),
            "by_picture": len(self.by_picture),
            "by_both": len(set(self.by_name) & set(self.by_picture)),
        }


def find_overlap(first: ImageTable, second: ImageTable, *, same_corpus: bool) -> Overlap:
    """Find the images of ``first`` that are in ``second``.

    Args:
        first: some images.
        second: other images.
        same_corpus: whether both name their images in the same way; otherwise only names that are known to be kept count.
    """
    names = {name: row for row, source in reversed(list(enumerate(second.sources))) for name in _names(source, same_corpus)}
    by_name = {}
    for row, source in enumerate(first.sources):
        for name in _names(source, same_corpus):
            if name in names:
                by_name[row] = names[name]
    return Overlap(len(first), by_name, find_matches(first.pictures, second.pictures))


def read_tables(folder: str, manifest: ShardManifest) -> dict[str, ImageTable]:
    """Read the images of every non-empty split."""
    return {split: read_images(folder, manifest, split) for split, rows in manifest.splits.items() if rows}


def overlaps_between_splits(tables: Mapping[str, ImageTable]) -> dict[str, Overlap]:
    """Find the images of each split that an earlier split has too, by "later in earlier"."""
    return {
        f"{second} in {first}": find_overlap(tables[second], tables[first], same_corpus=True) for first, second in combinations(tables, 2)
    }


def repeated_images(table: ImageTable) -> int:
    """Count the images of a split whose picture occurs in another image of the split."""
    unique, place, counts = np.unique(table.pictures, axis=0, return_inverse=True, return_counts=True)
    near = find_matches(unique, unique, same=True)
    return sum(1 for row in place.ravel().tolist() if counts[row] > 1 or row in near)


def _names(source: str, same_corpus: bool) -> list[str]:
    return [source] if same_corpus else _PUBLIC_ID.findall(source)
