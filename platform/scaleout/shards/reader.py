"""Read shards as Arrow tables. Nothing in a shard is ever executed: members are images and JSON, never pickle."""

import io
import re
import tarfile
from typing import Any

import pyarrow as pa

from medvlp.data.sample import SAMPLE_COLUMNS, SAMPLE_SCHEMA
from medvlp.errors import DataError
from medvlp.json_values import parse_object
from scaleout.io import storage
from scaleout.io.sidecar import read_recorded
from scaleout.shards.manifest import KEY_DIGITS, ShardRecord

_IMAGE_MEMBERS = ("jpg", "png")
_KEY = re.compile(rf"\d{{{KEY_DIGITS}}}")
_REMEDY = "copy it again, or make the shards again with jobs/prepare.py"


def read_shard_checked(folder: str, record: ShardRecord) -> pa.Table:
    """Read a shard of ``folder`` and compare it with its record in the manifest.

    Args:
        folder: Where the shards lie.
        record: What the manifest says of this one.

    Raises:
        DataError: the shard is missing, truncated or altered; the message names it.
    """
    uri = storage.join(folder, record.name)
    content = read_recorded(uri, "shard", record.bytes, record.sha256, _REMEDY)
    table = parse_shard(content, uri)
    if table.num_rows != record.rows:
        raise DataError(f"shard {uri} was altered: {table.num_rows} samples, its manifest says {record.rows}; {_REMEDY}")
    return table


def parse_shard(content: bytes, uri: str) -> pa.Table:
    """All samples of a shard, with the columns of ``SAMPLE_SCHEMA``.

    Args:
        content: of the file.
        uri: of the file, for messages.

    Raises:
        DataError: the shard is damaged, or not what the writer writes.
    """
    from webdataset.tariterators import group_by_keys, tar_file_iterator  # late: it imports torch, and who only plans reads nothing

    files = ({**file, "__url__": uri} for file in tar_file_iterator(io.BytesIO(content)))
    rows = []
    previous = ""
    try:
        for members in group_by_keys(files):
            row = _row(members)
            if row["key"] <= previous:
                raise ValueError(f"key {row['key']} comes after {previous}")
            previous = row["key"]
            rows.append(row)
        return pa.Table.from_pylist(rows, schema=SAMPLE_SCHEMA)
    except (tarfile.TarError, OSError, EOFError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(f"shard {uri} is damaged: {_reason(error)}; {_REMEDY}") from error


def _reason(error: Exception) -> str:
    """Return the first line of the error, without the buffer address that webdataset appends."""
    return str(error.args[0] if error.args else error).split(" @ ")[0]


def _row(members: dict[str, Any]) -> dict[str, Any]:
    """Build a sample from its members, which must be exactly KEY.jpg or KEY.png, and KEY.json."""
    key = members["__key__"]
    if not _KEY.fullmatch(key):
        raise ValueError(f"member {key} is not named by a key of {KEY_DIGITS} digits")
    names = {name for name in members if not name.startswith("__")}
    if unknown := names - {*_IMAGE_MEMBERS, "json"}:
        raise ValueError(f"sample {key} has another member, {', '.join(sorted(unknown))}")
    images = [name for name in _IMAGE_MEMBERS if name in names]
    if len(images) != 1 or "json" not in names:
        raise ValueError(f"sample {key} {'has two images' if len(images) > 1 else 'lacks its ' + ('json member' if images else 'image')}")
    metadata = parse_object(members["json"])
    if missing := SAMPLE_COLUMNS.keys() - metadata.keys():
        raise ValueError(f"sample {key} lacks {', '.join(sorted(missing))}")
    return {"key": key, "image": members[images[0]], **{name: metadata[name] for name in SAMPLE_COLUMNS}}
