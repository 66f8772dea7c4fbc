"""Links as Arrow tables, and the check that they belong to the samples beside them."""

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.links.manifest import LinksRecord

LINKS_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("text", pa.int32()),
        ("start", pa.list_(pa.int32())),
        ("end", pa.list_(pa.int32())),
        ("concept", pa.list_(pa.string())),
        ("negated", pa.list_(pa.bool_())),
    ]
)
"""One row per sample and text: ``text`` is the text's place in the sample.

Span i is [start[i], end[i]) and names concept[i]; negated[i] says that the text denies it. Spans are ascending and may overlap: every
mention is kept, so that a vocabulary which lacks "lung cancer" still has "lung".
"""

_REMEDY = "make the links again with jobs/link.py"


def read_links(uri: str) -> pa.Table:
    """The links of one shard, with the columns of ``LINKS_SCHEMA``.

    Raises:
        DataError: the file is missing, damaged, or not what ``link_shards`` writes.
    """
    return _parse_links(storage.read_bytes(uri), uri)


def read_links_checked(folder: str, record: LinksRecord, *, verify_hash: bool = False) -> pa.Table:
    """Read the links of one shard and compare them with their record in the manifest.

    Args:
        folder: Where the links lie.
        record: What the manifest says of this file.
        verify_hash: Whether to compute the sha256 too, which finds any altered byte.

    Raises:
        DataError: the file is missing, truncated or altered; the message names it.
    """
    uri = storage.join(folder, record.name)
    content = storage.read_bytes(uri)
    if len(content) != record.bytes:
        raise DataError(f"links {uri} were altered: {len(content)} bytes, their manifest says {record.bytes}; {_REMEDY}")
    if verify_hash and hashlib.sha256(content).digest() != record.sha256:
        raise DataError(f"links {uri} were altered: their sha256 is not the manifest's; {_REMEDY}")
    return _parse_links(content, uri)


def check_alignment(samples: pa.Table, links: pa.Table, shard: str) -> None:
    """Make sure that ``links`` has exactly one row per text of ``samples``, in the same order.

    Raises:
        DataError: it has not.
    """
    texts = samples.column("texts").combine_chunks()
    keys = samples.column("key").combine_chunks().take(pyarrow.compute.list_parent_indices(texts))
    if not keys.equals(links.column("key").combine_chunks()) or not np.array_equal(links.column("text"), _text_indices(texts)):
        raise DataError(f"the links of shard {shard} do not line up with its texts; {_REMEDY}")


def _text_indices(texts: pa.ListArray) -> np.ndarray:
    """int64, for every text its place in its sample."""
    counts = texts.value_lengths().to_numpy()
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _parse_links(content: bytes, uri: str) -> pa.Table:
    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"links {uri} are damaged: {error}; {_REMEDY}") from error
    if not table.schema.equals(LINKS_SCHEMA):
        raise DataError(f"links {uri} have other columns than {', '.join(LINKS_SCHEMA.names)}; {_REMEDY}")
    return table
