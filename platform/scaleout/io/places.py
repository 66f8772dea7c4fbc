"""What names a place: a local path or ``s3://bucket/path``, and the name of a folder in it."""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from medvlp.errors import ConfigurationError

S3 = "s3://"
_FILE = "file:///"
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:/|(s3|file):", re.IGNORECASE)
"""The begin of other URIs."""
_UNUSABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and the half characters that stand for bytes that are not UTF-8."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")


def is_remote(uri: str | Path) -> bool:
    """Return whether ``uri`` is in an object store."""
    return str(uri).startswith(S3)


def absolute(uri: str | Path) -> str:
    """Return the same location, independent of the working directory (a submitted job and its workers have others).

    Raises:
        ConfigurationError: it is neither a local path nor an ``s3://`` URI.
    """
    text = str(uri)
    if not text.strip() or _UNUSABLE.search(text):
        raise ConfigurationError(f"{text!r} is no place: give a folder or {S3}bucket/folder, without control characters")
    if is_remote(text):
        bucket, *parts = text.removeprefix(S3).rstrip("/").split("/")
        if not bucket or bucket != bucket.strip(".") or not {".", ".."}.isdisjoint(parts):
            raise ConfigurationError(f"{text!r} is no place in a bucket: give {S3}bucket/folder, without dots as folders")
        return text.rstrip("/")
    path = text.removeprefix("file://") if text.startswith(_FILE) else text
    if _SCHEME.match(path) or "://" in path:
        raise ConfigurationError(f"{text!r} is no place that can be used: give a local path or {S3}bucket/folder")
    try:
        return str(Path(path).expanduser().absolute())
    except RuntimeError as error:
        raise ConfigurationError(f"{text!r} is no place: {error}; give the whole path") from error


def parent(uri: str) -> str:
    """Return the folder of a file.

    Raises:
        ConfigurationError: ``uri`` is a bucket or the root, not a file.
    """
    above, _, name = uri.rpartition("/")
    if not name or above == S3.removesuffix("/"):
        raise ConfigurationError(f"{uri} is no file: add a file name")
    return above or "/"


def is_below(part: str) -> bool:
    """Return whether a relative path stays below the folder in which it starts."""
    path = PurePosixPath(part)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in part


@dataclass(frozen=True, repr=False)
class PlaceRule:
    """The rule of a place; see ``medvlp.values.Rule``."""

    is_local: bool = False
    """Whether it must be on this machine's disks."""

    def check(self, value: Any, option: str) -> None:
        """See ``Rule``."""
        try:
            uri = absolute(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{option}: {error}") from None
        if self.is_local and is_remote(uri):
            raise ConfigurationError(f"{option} is {value!r}: take {self}")

    def __repr__(self) -> str:
        return "a local path" if self.is_local else f"a local path or {S3}bucket/path"


@dataclass(frozen=True, repr=False)
class NameRule:
    """The rule of a name that becomes the name of a folder; see ``medvlp.values.Rule``."""

    def check(self, value: Any, option: str) -> None:
        """See ``Rule``."""
        if not _NAME.fullmatch(value):
            raise ConfigurationError(f"{option} is {value!r}: take {self}")

    def __repr__(self) -> str:
        return "at most 100 of A-Z a-z 0-9 . _ -, not beginning with a dot or hyphen"


Place = Annotated[str, PlaceRule()]
LocalPlace = Annotated[str, PlaceRule(is_local=True)]
Name = Annotated[str, NameRule()]


def check_name(name: str, option: str) -> None:
    """Check a name that becomes the name of a folder.

    Raises:
        ConfigurationError: it is invalid.
    """
    NameRule().check(name, option)
