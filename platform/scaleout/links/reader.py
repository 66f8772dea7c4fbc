"""Read links as Arrow tables, and check that they belong to the samples of a shard."""

import numpy as np
import pyarrow as pa
import pyarrow.compute

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.io.sidecar import read_sidecar
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
"""One row per sample and text: ``text`` is the index of the text in the sample.

Span i is [start[i], end[i]) and names concept[i]; negated[i] is true if the text negates it. Spans are ascending and may overlap: every
mention is kept, so that a vocabulary without "lung cancer" still finds "lung".
"""


def read_links_checked(folder: str, record: LinksRecord) -> pa.Table:
    """Read the links of one shard and compare them with their record in the manifest.

    Args:
        folder: Where the links lie.
        record: What the manifest says of this file.

    Raises:
        DataError: the file is missing, truncated or altered; the message names it.
    """
    uri = storage.join(folder, record.name)
    return read_sidecar(uri, LINKS_SCHEMA, what="links", maker="jobs/link.py", size=record.bytes, sha256=record.sha256)


def check_alignment(samples: pa.Table, links: pa.Table, shard: str) -> None:
    """Make sure that ``links`` has exactly one row per text of ``samples``, in the same order.

    Raises:
        DataError: the rows do not match.
    """
    texts = samples.column("texts").combine_chunks()
    keys = samples.column("key").combine_chunks().take(pyarrow.compute.list_parent_indices(texts))
    if not keys.equals(links.column("key").combine_chunks()) or not np.array_equal(links.column("text"), _text_indices(texts)):
        raise DataError(f"the links of shard {shard} do not line up with its texts; make the links again with jobs/link.py")


def _text_indices(texts: pa.ListArray) -> np.ndarray:
    """Return the index of every text in its sample, int64."""
    counts = texts.value_lengths().to_numpy()
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
