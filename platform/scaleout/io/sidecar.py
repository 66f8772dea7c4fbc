"""Read files and verify them against their manifest; read and write sidecars, the Parquet files next to the shards."""

import hashlib
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet

from medvlp.errors import DataError
from scaleout.io import storage


def pack_sidecar(table: pa.Table) -> bytes:
    """Return a table as the content of a sidecar."""
    buffer = pa.BufferOutputStream()
    pyarrow.parquet.write_table(table, buffer, compression="zstd")
    return bytes(buffer.getvalue().to_pybytes())


def read_sidecar(
    uri: str, schema: pa.Schema, *, what: str, maker: str, size: int, sha256: bytes, columns: Sequence[str] | None = None
) -> pa.Table:
    """Read a sidecar.

    Args:
        uri: URI of the file.
        schema: expected columns.
        what: content of the file, in the plural, for messages: "links".
        maker: job that makes the file.
        size: size in its manifest, in bytes.
        sha256: hash in its manifest.
        columns: names of the columns to read; all if None.

    Raises:
        DataError: the file is missing, truncated or altered, or contains something else; the message names it.
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
    """Return the content of a file after comparing it with its manifest.

    Args:
        uri: URI of the file.
        what: kind of file, for messages: "shard".
        size: size in its manifest, in bytes.
        sha256: hash in its manifest; it detects any altered byte.
        remedy: what to do if the file differs.

    Raises:
        DataError: the file is missing, truncated or altered; the message names it.
    """
    content = storage.read_bytes(uri)
    check_size(uri, what, len(content), size, remedy)
    if hashlib.sha256(content).digest() != sha256:
        raise DataError(f"{what} {uri} was altered: its sha256 is not the one in the manifest; {remedy}")
    return content


def check_size(uri: str, what: str, found: int, size: int, remedy: str) -> None:
    """Compare the size of a file with the one in its manifest, in bytes; see ``read_recorded``.

    Raises:
        DataError: the sizes differ.
    """
    if found != size:
        changed = "is truncated" if found < size else "was altered"
        raise DataError(f"{what} {uri} {changed}: {found} bytes, its manifest says {size}; {remedy}")
