"""A folder of official files: where its images are, and what it is made of."""

import hashlib
from pathlib import Path, PurePosixPath

from medvlp.corpora.files import open_binary
from medvlp.errors import DataError


class SourceFolder:
    """Reads names from the folder of a corpus, and remembers what was read for the corpus's fingerprint."""

    def __init__(self, root: Path, corpus: str, layout: str) -> None:
        """
        Args:
            root: the folder.
            corpus: its name, for messages.
            layout: what such a folder holds, in words.

        Raises:
            DataError: there is no such folder.
        """
        self.root = root
        self.corpus = corpus
        self.layout = layout
        self._hash = hashlib.sha256()
        self._seen: set[str] = set()
        self.missing: list[str] = []
        if not root.is_dir():
            raise DataError(f"no folder {root}; {self.remedy}")

    @property
    def remedy(self) -> str:
        """What to look at when something is missing."""
        return f"the folder of corpus {self.corpus!r} holds {self.layout}"

    def file(self, *names: str) -> Path:
        """The first of ``names`` that exists, an index of the corpus: its content becomes part of the fingerprint.

        Raises:
            DataError: none does; the message says which were looked for.
        """
        path = self.optional_file(*names)
        if path is None:
            looked_for = " or ".join(str(self.root / name) for name in names)
            raise DataError(f"no file {looked_for}; {self.remedy}")
        return path

    def optional_file(self, *names: str) -> Path | None:
        """As ``file``; None where there is none."""
        for name in names:
            path = self.root / name
            if path.is_file():
                self._note_content(path, name)
                return path
        return None

    def note_image(self, image: str) -> str:
        """Check that an image lies inside the folder, and note its size for the fingerprint.

        Raises:
            DataError: it lies elsewhere.
        """
        path = PurePosixPath(image)
        if path.is_absolute() or ".." in path.parts:
            raise DataError(f"corpus {self.corpus!r} names the image {image}, which is not inside of its folder {self.root}")
        if image not in self._seen:
            self._seen.add(image)
            if self.note_size(image) is None:
                self.missing.append(image)
        return image

    def note_size(self, name: str) -> int | None:
        """The size of a file of which there are too many to read them all, for the fingerprint; None where there is none."""
        try:
            size = (self.root / name).stat().st_size
        except OSError:
            size = None
        self._hash.update(f"{name}\x1f{size}\n".encode())
        return size

    def check_images(self, maximum_missing: float) -> None:
        """Refuse a folder that lacks more than a share of its images: then something else is wrong than a few lost files.

        Raises:
            DataError: it does; the message names the first.
        """
        if self._seen and len(self.missing) > maximum_missing * len(self._seen):
            raise DataError(
                f"{len(self.missing)} of the {len(self._seen)} images of corpus {self.corpus!r} are missing, the first is "
                f"{self.root / self.missing[0]}; {self.remedy}. To leave them out, set --options.maximum_missing 1"
            )

    @property
    def fingerprint(self) -> str:
        """Of the content of all index files, and the names and sizes of all images."""
        return self._hash.hexdigest()[:16]

    def _note_content(self, path: Path, name: str) -> None:
        self._hash.update(f"{name}\n".encode())
        with open_binary(path) as file:
            while block := file.read(1 << 20):
                self._hash.update(block)
