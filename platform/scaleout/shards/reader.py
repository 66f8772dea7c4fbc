"""Read shards as Arrow tables. Nothing in a shard is ever executed: members are images and JSON, never pickle."""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from webdataset.tariterators import group_by_keys, tar_file_iterator

from medvlp.data.sample import SAMPLE_COLUMNS, SAMPLE_SCHEMA
from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.shards.manifest import KEY_DIGITS, ShardRecord

_IMAGE_MEMBERS = ("jpg", "png")
_KEY = re.compile(rf"\d{{{KEY_DIGITS}}}")
_REMEDY = "copy it again, or make the shards again with jobs/prepare.py"


def read_shard(uri: str) -> pa.Table:
    """Read all samples of a shard, with the columns of ``SAMPLE_SCHEMA``.

    Raises:
        DataError: the shard is missing, damaged, or not in the writer's format.
    """
    return _parse_shard(storage.read_bytes(uri), uri)


def read_shard_checked(folder: str, record: ShardRecord, *, verify_hash: bool = False) -> pa.Table:
    """Read a shard of ``folder`` and compare it with its record in the manifest.

    Args:
        folder: Folder of the shards.
        record: Manifest record of the shard.
        verify_hash: Whether to check the sha256 too, which finds any changed byte.

    Raises:
        DataError: the shard is missing, truncated or altered; the message names it.
    """
    uri = storage.join(folder, record.name)
    content = storage.read_bytes(uri)
    if len(content) != record.bytes:
        what = "is truncated" if len(content) < record.bytes else "was altered"
        raise DataError(f"shard {uri} {what}: {len(content)} bytes, its manifest says {record.bytes}; {_REMEDY}")
    if verify_hash and hashlib.sha256(content).digest() != record.sha256:
        raise DataError(f"shard {uri} was altered: its sha256 is not the manifest's; {_REMEDY}")
    table = _parse_shard(content, uri)
    if table.num_rows != record.rows:
        raise DataError(f"shard {uri} was altered: {table.num_rows} samples, its manifest says {record.rows}; {_REMEDY}")
    return table


def _parse_shard(content: bytes, uri: str) -> pa.Table:
    rows = []
    previous = ""
    try:
        for members in group_by_keys(_files(content, uri)):
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


def _files(content: bytes, uri: str) -> Iterator[dict[str, Any]]:
    for file in tar_file_iterator(io.BytesIO(content)):
        yield {**file, "__url__": uri}


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
    metadata = json.loads(members["json"])
    if missing := SAMPLE_COLUMNS.keys() - metadata.keys():
        raise ValueError(f"sample {key} lacks {', '.join(sorted(missing))}")
    return {"key": key, "image": members[images[0]], **{name: metadata[name] for name in SAMPLE_COLUMNS}}
