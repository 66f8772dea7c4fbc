"""The benchmark of the plan reads what it claims to: many names, few files, and the stream from any position."""

import pytest

from performance.plan_runs import run
from performance.plan_source import DISTINCT, write_source
from scaleout.runs.config import RunConfig
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.reader import read_shard_checked

SHARDS, ROWS = 1500, 20


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RunConfig:
    """More shards than fit into one folder."""
    return write_source(tmp_path_factory.mktemp("plan"), shards=SHARDS, samples_per_shard=ROWS, micro_batch=8)


def test_every_name_is_a_shard(config: RunConfig) -> None:
    manifest = ShardManifest.load(config.data.shards)
    assert manifest.splits["train"] == SHARDS * ROWS
    shards = manifest.shards_of("train")
    assert len({shard.name for shard in shards}) == SHARDS
    assert len({shard.sha256 for shard in shards}) == DISTINCT
    for place in (0, 1, 999, 1000, SHARDS - 1):
        assert read_shard_checked(config.data.shards, shards[place]).num_rows == ROWS


@pytest.mark.ray
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("start", [0, 3 * SHARDS * ROWS + 8 * 1001])
def test_a_run_ends_with_the_first_batch(config: RunConfig, start: int) -> None:
    figures = run(config, start)
    assert figures["seconds"] > 0
    assert figures["processes"]["driver"] > 10_000_000
    assert figures["processes"]["ray::SegmentServer"] > 10_000_000
