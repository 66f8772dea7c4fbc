"""Files beside the shards, one for each, as Arrow tables: written the same way, checked and read by one reader."""

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
    uri: str,
    schema: pa.Schema,
    *,
    what: str,
    maker: str,
    size: int | None = None,
    sha256: bytes | None = None,
    columns: Sequence[str] | None = None,
) -> pa.Table:
    """Read a file beside a shard.

    Args:
        uri: of the file.
        schema: columns that it has.
        what: it holds, in the plural, for messages: "links".
        maker: the job that makes it.
        size: bytes that its manifest says; None leaves that unchecked.
        sha256: hash that its manifest says; it finds any altered byte. None leaves that unchecked.
        columns: names of those that are wanted; all if None.

    Raises:
        DataError: the file is missing, truncated or altered, or holds something else; the message names it.
    """
    content = storage.read_bytes(uri)
    remedy = f"make the {what} again with {maker}"
    if size is not None and len(content) != size:
        raise DataError(f"{what} {uri} were altered: {len(content)} bytes, their manifest says {size}; {remedy}")
    if sha256 is not None and hashlib.sha256(content).digest() != sha256:
        raise DataError(f"{what} {uri} were altered: their sha256 is not the manifest's; {remedy}")
    try:
        file = pyarrow.parquet.ParquetFile(pa.BufferReader(content))
        if not file.schema_arrow.equals(schema):
            raise DataError(f"{what} {uri} have other columns than {', '.join(schema.names)}; {remedy}")
        return file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{what} {uri} are damaged: {error}; {remedy}") from error
