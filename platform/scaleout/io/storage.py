"""One small interface to local folders and ``s3://`` buckets.

A URI is a string: a local path, or ``s3://bucket/path``. S3 is accessed through s3fs, with endpoint and keys from the
standard environment variables (``AWS_ENDPOINT_URL``, ``AWS_ACCESS_KEY_ID`` …). Nothing is cached: other processes write here too.
Calls to an unavailable bucket are retried (``retry.py``), and so are truncated reads.
"""

import errno
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pyarrow.fs
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from medvlp.errors import ConfigurationError, DataError
from scaleout.io.places import S3, absolute, is_below, is_remote, parent
from scaleout.io.retry import GaveUpError, retry

_AT_ONCE = 8
"""Number of files of a folder that are transferred at the same time."""

_ACCESS = "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_DEFAULT_REGION"
_FULL = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


def join(uri: str | Path, *parts: str) -> str:
    """Return a location below ``uri``.

    Raises:
        DataError: a part points outside, as one from damaged or hostile data may.
    """
    text = str(uri)
    for part in parts:
        if not is_below(part):
            raise DataError(f"{part!r} is not a valid file or folder name in {text}; the source of this name was altered")
    return "/".join([text.rstrip("/"), *parts]) if is_remote(text) else str(Path(text, *parts))


def base_name(uri: str | Path) -> str:
    """Return the last part of ``uri``."""
    return PurePosixPath(str(uri).rstrip("/")).name


def exists(uri: str | Path) -> bool:
    """Return whether there is a file or folder at ``uri``."""
    return bool(_on_files("look for", uri, lambda files: files.exists(str(uri))))


def file_size(uri: str | Path) -> int:
    """Return the size of the file at ``uri``, in bytes.

    Raises:
        DataError: there is none.
    """
    return int(_on_files("read", uri, lambda files: files.size(str(uri))))


def read_bytes(uri: str | Path) -> bytes:
    """Return the content of a file.

    Raises:
        DataError: it is missing or unreadable.
    """
    return bytes(_on_files("read", uri, lambda files: files.cat_file(str(uri))))


def write_bytes(uri: str | Path, content: bytes) -> None:
    """Write a file atomically: a reader sees the old content or the new content, never a part."""
    _on_files("write", uri, lambda files: files.pipe_file(str(uri), content))


def create_exclusively(uri: str | Path, content: bytes) -> bool:
    """Write a file unless it exists; of several concurrent writers with different content, exactly one gets True."""
    try:
        _on_files("write", uri, lambda files: files.pipe_file(str(uri), content, mode="create"))
    except DataError as error:
        if _says_it_exists(error.__cause__):
            # The response to the first attempt may have been lost, and the second attempt finds what the first one wrote.
            return is_remote(uri) and read_bytes(uri) == content
        raise
    return True


def list_names(uri: str | Path) -> list[str]:
    """Return the names of the files and folders directly in ``uri``, ascending; an empty list if there is no such folder."""
    folder = absolute(uri).removeprefix(S3)
    entries = _on_files("list", uri, lambda files: _entries(files, folder))
    return sorted({base_name(entry) for entry in entries if entry.rstrip("/") != folder})


def delete(uri: str | Path) -> None:
    """Remove a file, or a folder with all its content; do nothing if there is none."""

    def remove(files: AbstractFileSystem) -> None:
        with suppress(FileNotFoundError):
            files.rm(str(uri), recursive=True)

    _on_files("delete", uri, remove)


def upload_folder(local: Path, uri: str | Path) -> None:
    """Copy a local folder with all its content to ``uri``."""

    def upload(path: Path) -> None:
        target = join(uri, path.relative_to(local).as_posix())
        _on_files("write", target, lambda files: files.put_file(str(path), target))

    _for_each(upload, sorted(path for path in local.rglob("*") if path.is_file()))


def download_folder(uri: str | Path, local: Path) -> None:
    """Copy a folder with all its content into the local folder ``local``.

    Raises:
        DataError: there is none, or an object's key points outside.
    """
    root = absolute(uri).removeprefix(S3)
    sources = _on_files("read", uri, lambda files: files.find(root))
    if not sources:
        raise DataError(f"cannot read {uri}: no such file or folder")
    download_files(uri, [source.removeprefix(root).lstrip("/") for source in sources], local)


def download_files(uri: str | Path, names: Sequence[str], local: Path) -> None:
    """Copy the named files of a folder into the local folder ``local``; names are paths in the folder.

    Raises:
        DataError: one is missing, or its key points outside the folder.
    """

    def download(name: str) -> None:
        target, source = local / name, join(uri, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        _on_files("read", source, lambda files: files.get_file(source, str(target)))

    _for_each(download, list(names))


@contextmanager
def local_copy(uri: str | Path) -> Iterator[Path]:
    """Yield a local path with the content of the file or folder ``uri``; a local one is not copied."""
    if not is_remote(uri):
        if not Path(uri).exists():
            raise DataError(f"cannot read {uri}: no such file or folder")
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="medvlp-") as temporary:
        target = Path(temporary) / base_name(uri)
        # Not isfile, which returns False when the server does not answer.
        if _on_files("read", uri, lambda files: files.info(str(uri)))["type"] == "file":
            target.write_bytes(read_bytes(uri))
        else:
            download_folder(uri, target)
        yield target


def arrow_filesystem(uri: str | Path) -> tuple[pyarrow.fs.FileSystem, str]:
    """Return ``uri`` in the form that pyarrow and Ray Data need: a filesystem and a path in it."""
    if not is_remote(uri):
        return pyarrow.fs.LocalFileSystem(), absolute(uri)
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(_s3(attempts=10))), str(uri).removeprefix(S3)


def existing_folder(uri: str | Path) -> str:
    """Return the nearest existing folder or file at or above a local ``uri``."""
    path = Path(absolute(uri))
    return str(next(place for place in (path, *path.parents) if place.exists()))


def check_writable(uri: str | Path) -> None:
    """Check, before any work is done, that files can be written below ``uri``; no folder is made.

    Raises:
        ConfigurationError: they cannot.
    """
    probe = join(uri if is_remote(uri) else existing_folder(uri), f".writable-{uuid.uuid4().hex}")
    try:
        write_bytes(probe, b"")
        delete(probe)
    except DataError as error:
        remedy = "check AWS_ENDPOINT_URL, keys and the bucket's policy" if is_remote(uri) else "choose another folder or fix permissions"
        raise ConfigurationError(f"cannot write below {uri} ({_reason(error.__cause__)}); {remedy}") from error


def check_file_writable(uri: str) -> None:
    """Check, before any work is done, that a file can be written to ``uri``.

    Raises:
        ConfigurationError: it cannot.
    """
    if not is_remote(uri) and Path(uri).is_dir():
        raise ConfigurationError(f"{uri} is a folder: add a file name")
    check_writable(parent(uri))


def _s3(attempts: int | None = None) -> Any:
    """Return the S3 filesystem of this process; s3fs keeps one instance per endpoint. Imported late: most runs are local.

    Args:
        attempts: attempts for each request, for callers that do not use ``retry``; by default AWS_MAX_ATTEMPTS, else three.
    """
    from s3fs import S3FileSystem

    endpoint = _endpoint()
    retries = {"mode": "standard", **({"total_max_attempts": attempts} if attempts else {})}
    s3 = S3FileSystem(endpoint_url=endpoint, use_listings_cache=False, config_kwargs={"retries": retries})
    if attempts is None:
        s3.retries = 1  # s3fs would retry silently, and only some errors: ``retry`` covers more and logs
    return s3


def _endpoint() -> str | None:
    """Return the address of the S3 server; None for Amazon's.

    Raises:
        ConfigurationError: the environment names something else.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if address := os.environ.get(name):
            try:
                parts = urlsplit(address)
                is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", address)
                has_login = parts.username is not None
            except ValueError:  # of the port, or of brackets
                is_address = has_login = False
            if has_login:
                raise ConfigurationError(f"{name} {address} contains credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
            if not is_address:
                raise ConfigurationError(f"{name} is {address!r}, which is no address of a server: take http://HOST:PORT or https://HOST")
            return address
    return None


class _LocalFiles(LocalFileSystem):
    """The local disk, with atomic writes."""

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **_: Any) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if mode == "create":
            with Path(path).open("xb") as file:
                file.write(value)
        else:
            _replace_file(Path(path), value)


def _on_files(verb: str, uri: str | Path, call: Callable[[AbstractFileSystem], T]) -> T:
    """Return ``call`` of the filesystem that contains ``uri``; with retries for a bucket, so calling it twice must be harmless."""
    with _clear_errors(verb, uri):
        if is_remote(uri):
            if "@" in str(uri).removeprefix(S3).partition("/")[0]:
                raise ConfigurationError(
                    f"{uri} contains credentials: give the bucket without them, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
            return retry(f"{verb} {uri}", lambda: call(_s3()))
        return call(_LocalFiles(auto_mkdir=True))


def _entries(files: AbstractFileSystem, folder: str) -> list[str]:
    try:
        return list(files.ls(folder, detail=False))
    except FileNotFoundError:
        return []


def _for_each(call: Callable[[T], None], items: list[T]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(call, items))


def _replace_file(path: Path, content: bytes) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _clear_errors(verb: str, uri: str | Path) -> Iterator[None]:
    """Convert the errors of the libraries into errors that name what failed and where."""
    try:
        yield
    except GaveUpError as error:
        remedy = "when the store (see AWS_ENDPOINT_URL) answers again, the same command continues"
        raise DataError(f"cannot {verb} {uri}: {error}; {remedy}") from error
    except OSError as error:
        remedy = "; free some space there, then the same command continues" if error.errno in _FULL else ""
        if is_remote(uri) and isinstance(error, PermissionError):
            remedy = f"; check {_ACCESS}, the bucket's policy and the clock of this machine"
        raise DataError(f"cannot {verb} {uri}: {_reason(error)}{remedy}") from error
    except Exception as error:
        if not _is_client_error(error):
            raise
        remedy = f"; check AWS_ENDPOINT_URL, {_ACCESS}" if is_remote(uri) else ""
        raise DataError(f"cannot {verb} {uri}: {_reason(error)}{remedy}") from error


def _is_client_error(error: Exception) -> bool:
    """Return whether botocore or its HTTP client raised it: s3fs turns error responses into OSError, but not a missing server or key.

    Python raises a ValueError for a path with a null byte, and botocore for a server's name or a variable that it cannot use.
    """
    return isinstance(error, ValueError) or type(error).__module__.split(".")[0] in {"botocore", "aiobotocore", "aiohttp"}


def _says_it_exists(error: BaseException | None) -> bool:
    return isinstance(error, FileExistsError) or "PreconditionFailed" in str(error) or "pre-conditions" in str(error)


def _reason(error: BaseException | None) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file or folder"
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())[:300]
