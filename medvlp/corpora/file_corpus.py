"""A corpus in files, which every converter creates from its official layout."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medvlp.corpora.folder import SourceFolder, path_inside
from medvlp.corpora.identity import hashed_group
from medvlp.corpora.items import HeldItems, Item, Items
from medvlp.corpora.splits import check_split, ordered
from medvlp.data.dicom import BurnedIn, dicom_to_jpeg, is_dicom
from medvlp.data.sample import SAMPLE_COLUMNS, Dropped, Sample, clean_texts
from medvlp.errors import DataError

MAXIMUM_MISSING = 0.01
"""Fraction of the images that may be missing: a lost file or two, as in SLAKE, but not half a download."""


@dataclass(frozen=True, kw_only=True)
class FileCorpus:
    """Items with images in a folder."""

    root: Path
    name: str
    public: bool
    items: Mapping[str, Items]
    fingerprint: str
    minimum_words: int | None = 3
    """Shorter texts are left out and white space is collapsed; None leaves texts unchanged, as for questions."""
    burned_in: BurnedIn = BurnedIn.DROP
    """Rule for DICOM files."""
    left_out: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def hold(
        cls, folder: SourceFolder, items: Mapping[str, Iterable[Item]], *, maximum_missing: float = MAXIMUM_MISSING, **fields: Any
    ) -> "FileCorpus":
        """Create a corpus that keeps its rows in memory, without their images.

        Args:
            folder: the folder of the items.
            items: the items by split.
            maximum_missing: fraction of the images that may be missing.
            fields: further fields of the corpus.

        Raises:
            DataError: there are no items, or too many images are missing.
        """
        held: dict[str, Items] = {split: HeldItems.of(_noted(folder, of_split)) for split, of_split in items.items()}
        return cls.open(folder, held, maximum_missing=maximum_missing, **fields)

    @classmethod
    def open(
        cls, folder: SourceFolder, items: Mapping[str, Items], *, maximum_missing: float = MAXIMUM_MISSING, **fields: Any
    ) -> "FileCorpus":
        """Do the same as ``hold`` for items whose images ``folder`` has noted already."""
        if not any(len(of_split) for of_split in items.values()):
            raise DataError(f"the files in {folder.root} contain no row for corpus {folder.corpus!r}")
        for split in items:
            check_split(split, f"corpus {folder.corpus!r}")
        folder.check_images(maximum_missing)
        return cls(root=folder.root, items=ordered(items), fingerprint=folder.fingerprint, **{"name": folder.corpus, **fields})

    def splits(self) -> dict[str, int]:
        """Number of rows of each split."""
        return {split: len(items) for split, items in self.items.items()}

    def sample(self, split: str, index: int) -> Sample:
        """Return row number ``index`` of ``split``.

        Raises:
            Dropped: its image is missing, all its texts are too short, or its DICOM file must not be used.
            DataError: there is no such row, or it cannot be read, or names an image outside the folder.
        """
        if split not in self.items or not 0 <= index < len(self.items[split]):
            raise DataError(f"corpus {self.name!r} has no item {index} in split {split!r}; its splits are {self.splits()}")
        item = self.items[split][index]
        known = {name: getattr(item, name) for name in SAMPLE_COLUMNS}
        made = {
            "image": self._image(item.image),
            "texts": self._texts(item),
            "group": hashed_group(self.name, item.group or f"image={item.image}"),
        }
        return Sample(**{**known, **made})

    def _texts(self, item: Item) -> tuple[str, ...]:
        if self.minimum_words is not None:
            return clean_texts(item.texts, self.minimum_words)
        texts = tuple(text for text in item.texts if text.strip())
        if not texts:
            raise Dropped("no text")
        return texts

    def _image(self, image: str) -> bytes:
        path = path_inside(self.root, image, f"corpus {self.name!r}")
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise Dropped("image file is missing") from error
        except OSError as error:
            raise DataError(f"cannot read the image {path}: {error.strerror}") from error
        return dicom_to_jpeg(content, burned_in=self.burned_in) if is_dicom(content) else content


def _noted(folder: SourceFolder, items: Iterable[Item]) -> Iterable[Item]:
    for item in items:
        folder.note_image(item.image)
        yield item
