"""Files that a manifest lists, compared with what it says; and those beside the shards, which are Arrow tables."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet

from medvlp.errors import DataError
from scaleout.io import storage


def pack_sidecar(table: pa.Table) -> bytes:
    """The content of a file beside a shard."""
    buffer = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    return bytes(buffer.getvalue().to_pybytes())


def read_sidecar(
    uri: str, schema: pa.Schema, *, what: str, maker: str, size: int, sha256: bytes, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a file beside a shard.

    Args:
        uri: of the file.
        schema: columns that it has.
        what: it holds, in the plural, for messages: "links".
        maker: the job that makes it.
        size: bytes that its manifest says.
        sha256: hash that its manifest says.
        columns: names of those that are wanted; all if None.

    Raises:
        DataError: the file is missing, truncated or altered, or holds something else; the message names it.
    """
    remedy = f"make the {what} again with {maker}"
    content = read_recorded(uri, f"file of {what}", size, sha256, remedy)
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(content))
        if not file.schema_arrow.equals(schema):
            raise DataError(f"file of {what} {uri} has other columns than {', '.join(schema.names)}; {remedy}")
        return file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"file of {what} {uri} is damaged: {error}; {remedy}") from error


def read_recorded(uri: str, what: str, size: int, sha256: bytes, remedy: str) -> bytes:
    """The content of a file, compared with what its manifest says.

    Args:
        uri: of the file.
        what: it is, for messages: "shard".
        size: bytes that its manifest says.
        sha256: hash that its manifest says; it finds any altered byte.
        remedy: what to do where it is not as it says.

    Raises:
        DataError: the file is missing, truncated or altered; the message names it.
    """
    content = storage.read_bytes(uri)
    check_size(uri, what, len(content), size, remedy)
    if hashlib.sha256(content).digest() != sha256:
        raise DataError(f"{what} {uri} was altered: its sha256 is not the manifest's; {remedy}")
    return content


def check_size(uri: str, what: str, found: int, size: int, remedy: str) -> None:
    """Compare the bytes that a file has with those that its manifest says; see ``read_recorded``.

    Raises:
        DataError: it has more or fewer.
    """
    if found != size:
        changed = "is truncated" if found < size else "was altered"
        raise DataError(f"{what} {uri} {changed}: {found} bytes, its manifest says {size}; {remedy}")
