"""A folder of official files: its images and its fingerprint."""

import hashlib
from pathlib import Path, PurePosixPath

from medvlp.corpora.files import open_binary
from medvlp.errors import DataError


def path_inside(root: Path, name: str, where: str) -> Path:
    """Return the path of a file named in the data.

    Args:
        root: the folder of the data.
        name: the name in the data.
        where: the source of the name, for messages.

    Raises:
        DataError: the path leaves the folder, or is invalid.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise DataError(f"{where} names the file {name!r}, which is not inside the folder {root}; give a path inside it")
    if "\0" in name or any("\ud800" <= character <= "\udfff" for character in name):
        raise DataError(f"{where} names the file {name!r}, which is not a valid file name; correct the name")
    return root / path


class SourceFolder:
    """Reads files from the folder of a corpus, and records what was read for the fingerprint of the corpus."""

    def __init__(self, root: Path, corpus: str, layout: str) -> None:
        """Open a folder.

        Args:
            root: the folder.
            corpus: name of the corpus, for messages.
            layout: description of the expected content, for messages.

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
        """A hint for the user when something is missing."""
        return f"the folder of corpus {self.corpus!r} must contain {self.layout}"

    def file(self, *names: str) -> Path:
        """Return the first of ``names`` that exists, an index file of the corpus: its content becomes part of the fingerprint.

        Raises:
            DataError: none exists; the message lists the names.
        """
        path = self.optional_file(*names)
        if path is None:
            looked_for = " or ".join(str(self.root / name) for name in names)
            raise DataError(f"no file {looked_for}; {self.remedy}")
        return path

    def optional_file(self, *names: str) -> Path | None:
        """Do the same as ``file``, but return None if there is none."""
        for name in names:
            path = self.root / name
            if path.is_file():
                self._note_content(path, name)
                return path
        return None

    def note_image(self, image: str, where: str = "") -> str:
        """Check that an image lies inside the folder, and note its size for the fingerprint.

        Args:
            image: path inside the folder.
            where: the row that names it, for messages.

        Raises:
            DataError: it is outside the folder.
        """
        if image not in self._seen:
            size = self.note_size(image, where)
            self._seen.add(image)
            if size is None:
                self.missing.append(image)
        return image

    def note_size(self, name: str, where: str = "") -> int | None:
        """Note the size of a file for the fingerprint, for files that are too many to read; return None if it is missing.

        Raises:
            DataError: it is outside the folder.
        """
        path = path_inside(self.root, name, where or f"corpus {self.corpus!r}")
        try:
            size = path.stat().st_size
        except OSError:
            size = None
        self._hash.update(f"{name}\x1f{size}\n".encode())
        return size

    def check_images(self, maximum_missing: float) -> None:
        """Check that at most the fraction ``maximum_missing`` of the images is missing: more than that is not just a few lost files.

        Raises:
            DataError: more are missing; the message names the first.
        """
        if self._seen and len(self.missing) > maximum_missing * len(self._seen):
            raise DataError(
                f"{len(self.missing)} of the {len(self._seen)} images of corpus {self.corpus!r} are missing, the first is "
                f"{self.root / self.missing[0]}; {self.remedy}. To leave them out, set --options.maximum_missing 1"
            )

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the content of all index files, and of the names and sizes of all images."""
        return self._hash.hexdigest()[:16]

    def _note_content(self, path: Path, name: str) -> None:
        self._hash.update(f"{name}\n".encode())
        with open_binary(path) as file:
            while block := file.read(1 << 20):
                self._hash.update(block)
