"""Validate shards against their manifest, local or remote."""

from functools import partial
from typing import Any

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.io.record_table import RecordTable
from scaleout.io.resumable import RunTasks, ray_tasks
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.shards.reader import read_shard_checked
from scaleout.shards.sidecar import read_samples


def validate_shards(folder: str, run: RunTasks = ray_tasks) -> tuple[ShardManifest, list[str]]:
    """Read every shard and its sidecar again, and compare both with the manifest: size, hash, members, samples.

    Args:
        folder: URI of the shards.
        run: How to run the tasks.

    Returns:
        The manifest, and a list of problems as text.

    Raises:
        DataError: there is no manifest, or it was changed.
    """
    manifest = ShardManifest.load(folder)
    names = manifest.shards.strings("name")
    problems = [found["problem"] for found in run(partial(_check_shard, folder, manifest.shards), names) if found["problem"]]
    known = set(names)
    for name in storage.list_names(folder):
        if name.endswith(".tar") and name not in known:
            problems.append(f"{storage.join(folder, name)} is not in the manifest; delete it")
    return manifest, sorted(problems)


def _check_shard(folder: str, records: RecordTable[ShardRecord], name: str) -> dict[str, Any]:
    """Check a shard by its name; what travels to the workers."""
    try:
        record = records.named(name)
        shard = read_shard_checked(folder, record)
        if not shard.drop_columns("image").equals(read_samples(folder, record).drop_columns("hash")):
            raise DataError(f"the sidecar of {storage.join(folder, name)} does not match it; make the shards again with jobs/prepare.py")
    except DataError as error:
        return {"problem": str(error)}
    return {"problem": ""}
