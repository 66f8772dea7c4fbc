"""Shards against their manifest, wherever they lie."""

from typing import Any

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.io.resumable import RunTasks, ray_tasks
from scaleout.shards.images import images_name
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.shards.reader import read_shard_checked


def validate_shards(folder: str, run: RunTasks = ray_tasks) -> tuple[ShardManifest, list[str]]:
    """Read every shard again and compare it with the manifest: size, hash, members, number of samples.

    Args:
        folder: URI of the shards.
        run: How to run the tasks.

    Returns:
        The manifest, and what is wrong, in words.

    Raises:
        DataError: there is no manifest, or it was altered.
    """
    manifest = ShardManifest.load(folder)
    records = {record.name: record for record in manifest.shards}
    problems = [found["problem"] for found in run(_CheckShard(folder, records), list(records)) if found["problem"]]
    for name in storage.list_names(folder):
        if name.endswith(".tar") and name not in records:
            problems.append(f"{storage.join(folder, name)} is not in the manifest; delete it")
    return manifest, sorted(problems)


class _CheckShard:
    """Checks a shard by its name; what travels to the workers."""

    def __init__(self, folder: str, records: dict[str, ShardRecord]) -> None:
        self.folder = folder
        self.records = records

    def __call__(self, name: str) -> dict[str, Any]:
        try:
            read_shard_checked(self.folder, self.records[name], verify_hash=True)
            images = storage.join(self.folder, images_name(name))
            if not storage.exists(images):
                raise DataError(f"{images} is missing; make the shards again with jobs/prepare.py")
        except DataError as error:
            return {"problem": str(error)}
        return {"problem": ""}
