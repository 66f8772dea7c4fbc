"""A folder of official files: where its images are, and what it is made of."""

import hashlib
from pathlib import Path, PurePosixPath

from medvlp.corpora.files import open_binary
from medvlp.errors import DataError


def path_inside(root: Path, name: str, where: str) -> Path:
    """The path of a file that the data name.

    Args:
        root: the folder of the data.
        name: as the data give it.
        where: what gives it, for messages.

    Raises:
        DataError: it could be outside of the folder, or is no path at all.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where} names the file {name!r}, which is not inside of the folder {root}; give a path inside of it")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise DataError(f"{where} names the file {name!r}, which no file can be called; correct the name")
    return root / path


class SourceFolder:
    """Reads names from the folder of a corpus, and remembers what was read for the corpus's fingerprint."""

    def __init__(self, root: Path, corpus: str, layout: str) -> None:
        """Open a folder.

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

    def note_image(self, image: str, where: str = "") -> str:
        """Check that an image lies inside the folder, and note its size for the fingerprint.

        Args:
            image: path inside of the folder.
            where: the row that names it, for messages.

        Raises:
            DataError: it lies elsewhere.
        """
        if image not in self._seen:
            size = self.note_size(image, where)
            self._seen.add(image)
            if size is None:
                self.missing.append(image)
        return image

    def note_size(self, name: str, where: str = "") -> int | None:
        """The size of a file of which there are too many to read them all, for the fingerprint; None where there is none.

        Raises:
            DataError: it lies outside of the folder.
        """
        path = path_inside(self.root, name, where or f"corpus {self.corpus!r}")
        try:
            size = path.stat().st_size
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
