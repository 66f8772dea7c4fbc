"""A folder of official files: its rows, its images and its fingerprint."""

import hashlib
import logging
import stat
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Generic, NamedTuple

from medvlp.corpora.corpus import STATED
from medvlp.corpora.source.files import Row, RowFile, open_binary
from medvlp.corpora.source.limit import MAXIMUM_MISSING, is_within, too_many
from medvlp.corpora.source.schema import BadRow, Schema, check_row
from medvlp.errors import DataError

logger = logging.getLogger(__name__)

MISSING_IMAGE = "image file is missing"


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


def file_size(path: Path) -> int | None:
    """Return the size of a file in bytes; None if there is no such file, or it is a folder."""
    try:
        found = path.stat()
    except OSError:  # also a name that is too long
        return None
    return found.st_size if stat.S_ISREG(found.st_mode) else None


class SourceRow(NamedTuple, Generic[Schema]):
    """A row that matches its schema."""

    fields: Schema
    values: Row
    """All its fields, as in the file."""
    path: Path
    line: int
    offset: int

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.path}, line {self.line}"


class SourceFolder:
    """Reads files from the folder of a corpus, counts rows that cannot be used, and records what was read for the fingerprint."""

    def __init__(self, root: Path, corpus: str, layout: str, maximum_missing: float = MAXIMUM_MISSING) -> None:
        """Open a folder.

        Args:
            root: the folder.
            corpus: name of the corpus, for messages.
            layout: description of the expected content, for messages.
            maximum_missing: fraction of the rows that may be bad.

        Raises:
            DataError: there is no such folder.
        """
        self.root = root
        self.corpus = corpus
        self.layout = layout
        self.maximum_missing = maximum_missing
        self.rejected: Counter[str] = Counter()
        """Rows that do not match their schema, by reason."""
        self.groups: Counter[str] = Counter()
        """Number of items by what their group is."""
        self.division = STATED
        """How the splits were made."""
        self._hash = hashlib.sha256()
        self._sizes: dict[str, int | None] = {}
        self._items = 0
        self._without_image = 0
        self._first = ""
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

    def rows(self, file: RowFile, schema: type[Schema]) -> Iterator[SourceRow[Schema]]:
        """Yield the rows of a file that match ``schema``; reject the others."""
        return _matching(file, schema, self.reject)

    def lookup(self, file: RowFile, schema: type[Schema]) -> Iterator[SourceRow[Schema]]:
        """Do the same for rows that only add to others, such as labels: they are no samples, so they are not counted among them.

        Raises:
            DataError: too many of them are bad.
        """
        bad: list[tuple[str, str]] = []
        good = 0
        for row in _matching(file, schema, lambda where, problem: bad.append((where, problem))):
            good += 1
            yield row
        if not bad:
            return
        rows, first = good + len(bad), " ".join(bad[0])
        if not is_within(len(bad), rows, self.maximum_missing):
            reasons = Counter(_reason(problem) for _, problem in bad)
            raise too_many(f"rows of {file.path}", reasons, rows, "Correct them", first)
        logger.warning("%d of the %d rows of %s cannot be used; the first: %s", len(bad), rows, file.path, first)

    def reject(self, where: str, problem: str) -> None:
        """Count a row that cannot be used; it becomes no item.

        Args:
            where: file and line.
            problem: what is wrong, as in "row 7 has no image"; what follows a colon is shown, but not counted separately.
        """
        self.rejected[f"row {_reason(problem)}"] += 1
        self._first = self._first or f"{where} {problem}"

    def note_group(self, group: str) -> None:
        """Note the group of an item, such as "patient_id=7"; its image is its group if that is empty."""
        self.groups[group.partition("=")[0] or "image"] += 1

    def note_image(self, image: str) -> str:
        """Note the image of an item: whether it is there, and its size for the fingerprint.

        Args:
            image: path inside the folder.

        Raises:
            DataError: it is outside the folder.
        """
        if image not in self._sizes:
            self._sizes[image] = self.note_size(image)
        self._items += 1
        if self._sizes[image] is None:
            self._without_image += 1
            self._first = self._first or f"there is no file {self.root / image}"
        return image

    def note_size(self, name: str) -> int | None:
        """Note the size of a file for the fingerprint, for files that are too many to read; return None if it is missing.

        Raises:
            DataError: it is outside the folder.
        """
        size = file_size(path_inside(self.root, name, f"corpus {self.corpus!r}"))
        self._hash.update(f"{name}\x1f{size}\n".encode())
        return size

    def check(self) -> None:
        """Check that there is a row, and that few are bad: do not match their schema, or name an image that is missing.

        Raises:
            DataError: there is none, or more than ``maximum_missing`` are bad; the message names the first.
        """
        reasons = {**self.rejected, **({MISSING_IMAGE: self._without_image} if self._without_image else {})}
        rows = self._items + self.rejected.total()
        if not self._items and not reasons:
            raise DataError(f"the files in {self.root} contain no row for corpus {self.corpus!r}")
        if not self._items or not is_within(sum(reasons.values()), rows, self.maximum_missing):
            raise too_many(f"rows of corpus {self.corpus!r}", reasons, rows, f"Correct them ({self.remedy})", self._first)

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the content of all index files, and of the names and sizes of all images."""
        return self._hash.hexdigest()[:16]

    def _note_content(self, path: Path, name: str) -> None:
        self._hash.update(f"{name}\n".encode())
        with open_binary(path) as file:
            while block := file.read(1 << 20):
                self._hash.update(block)


def _matching(file: RowFile, schema: type[Schema], reject: Callable[[str, str], None]) -> Iterator[SourceRow[Schema]]:
    path = file.path
    for line, offset, values, fault in file.rows():
        try:
            if fault:
                raise BadRow(fault)
            row = SourceRow(check_row(schema, values), values, path, line, offset)
        except BadRow as error:
            reject(f"{path}, line {line}", str(error))
        else:
            yield row


def _reason(problem: str) -> str:
    """Return a problem without its details, so that equal ones are counted together."""
    return problem.partition(":")[0]
