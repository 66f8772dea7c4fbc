"""A corpus in files, which every converter creates from its official layout."""

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from medvlp.corpora.corpus import Grouping
from medvlp.corpora.identity import hashed_group
from medvlp.corpora.items import HeldItems, Item, Items
from medvlp.corpora.source.folder import MISSING_IMAGE, SourceFolder, path_inside
from medvlp.corpora.source.limit import MAXIMUM_MISSING
from medvlp.corpora.splits import check_split, ordered
from medvlp.data.dicom import BurnedIn, dicom_to_jpeg, is_dicom
from medvlp.data.sample import SAMPLE_COLUMNS, Dropped, Excluded, Sample, clean_texts
from medvlp.errors import DataError

_NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP)


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
    rejected: int = 0
    maximum_missing: float = MAXIMUM_MISSING
    grouping: Grouping = field(default_factory=Grouping)

    @classmethod
    def hold(cls, folder: SourceFolder, items: Mapping[str, Iterable[Item]], **fields: Any) -> "FileCorpus":
        """Create a corpus that keeps its rows in memory, without their images.

        Args:
            folder: the folder of the items.
            items: the items by split.
            fields: further fields of the corpus.

        Raises:
            DataError: there are no items, or too many rows are bad.
        """
        held: dict[str, Items] = {split: HeldItems.of(_noted(folder, of_split)) for split, of_split in items.items()}
        return cls.open(folder, held, **fields)

    @classmethod
    def open(
        cls, folder: SourceFolder, items: Mapping[str, Items], *, left_out: Mapping[str, int] | None = None, **fields: Any
    ) -> "FileCorpus":
        """Do the same as ``hold`` for items whose images and groups ``folder`` has noted already."""
        for split in items:
            check_split(split, f"corpus {folder.corpus!r}")
        folder.check()
        return cls(
            root=folder.root,
            items=ordered(items),
            fingerprint=folder.fingerprint,
            left_out={**(left_out or {}), **folder.rejected},
            rejected=folder.rejected.total(),
            maximum_missing=folder.maximum_missing,
            grouping=Grouping(dict(folder.groups), folder.division),
            **{"name": folder.corpus, **fields},
        )

    def splits(self) -> dict[str, int]:
        """Number of rows of each split."""
        return {split: len(items) for split, items in self.items.items()}

    def sample(self, split: str, index: int) -> Sample:
        """Return row number ``index`` of ``split``.

        Raises:
            Dropped: its image is missing or damaged, or (``Excluded``) all its texts are too short or its DICOM file must not be used.
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

    def where(self, split: str, index: int) -> str:
        """Return the path of the image of a row."""
        try:
            return str(self.root / self.items[split][index].image)
        except Dropped:  # its report is missing
            return f"item {index} of split {split!r}"

    def _texts(self, item: Item) -> tuple[str, ...]:
        if self.minimum_words is not None:
            return clean_texts(item.texts, self.minimum_words)
        texts = tuple(text for text in item.texts if text.strip())
        if not texts:
            raise Excluded("no text")
        return texts

    def _image(self, image: str) -> bytes:
        path = path_inside(self.root, image, f"corpus {self.name!r}")
        try:
            content = path.read_bytes()
        except OSError as error:
            if error.errno in _NO_FILE:
                raise Dropped(MISSING_IMAGE) from error
            raise DataError(f"cannot read the image {path}: {error.strerror}") from error
        return dicom_to_jpeg(content, burned_in=self.burned_in) if is_dicom(content) else content


def _noted(folder: SourceFolder, items: Iterable[Item]) -> Iterable[Item]:
    for item in items:
        folder.note_image(item.image)
        folder.note_group(item.group)
        yield item
