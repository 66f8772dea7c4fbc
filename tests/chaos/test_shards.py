"""Shards that change under a run: it stops and names the shard; when the shard is as it was, the same command continues."""

from collections.abc import Callable
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.runs.config import RunConfig
from scaleout.shards.manifest import ShardManifest
from tests.chaos.runs import At, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, left_by
from tests.faults import Fault, record
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos


def truncate(shard: Path, other: Path) -> None:
    """Lose the second half."""
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])


def swap(shard: Path, other: Path) -> None:
    """Put another shard in its place."""
    shard.write_bytes(other.read_bytes())


def swap_for_one_of_the_same_size(shard: Path, other: Path) -> None:
    """Put another shard in its place, cut or filled up with the zeros that end a tar."""
    size = shard.stat().st_size
    shard.write_bytes(other.read_bytes()[:size].ljust(size, b"\0"))


@pytest.mark.parametrize(
    ("spoil", "fault", "said"),
    [
        (truncate, "a shard is truncated", "is truncated"),
        (swap, "a shard is swapped for another", "is truncated|was altered"),
        (swap_for_one_of_the_same_size, "a shard is swapped for another of the same size", "was altered"),
    ],
)
def test_a_spoilt_shard(config: RunConfig, unbroken: Left, spoil: Callable[[Path, Path], None], fault: str, said: str) -> None:
    run_folder = f"{config.storage}/{config.name}"
    shards = [Path(config.data.shards, shard.name) for shard in ShardManifest.load(config.data.shards).shards_of("train")]
    whole = {shard: shard.read_bytes() for shard in shards}
    started = TinyRun(config, trackers=[At({2: lambda: [spoil(shard, shards[(place + 1) % 4]) for place, shard in enumerate(shards)]})])
    with pytest.raises(DataError, match=f"shard .*/train-0000[0-9.tar]+ ({said})"):
        started.run()
    assert 0 < started.store.newest()[1].step < unbroken.step
    # The same command refuses as long as the shard is as it is, and spoils nothing.
    again = TinyRun(config)
    with pytest.raises(DataError, match=r"shard .*/train-0000"):
        again.run()
    for shard, content in whole.items():
        shard.write_bytes(content)
    resumed = resume(config)
    assert_as_unbroken(left_by(run_folder), unbroken)
    record(
        Fault(
            fault=f"{fault} while the run reads",
            setting="loop without Ray, local disk",
            outcome="stops and names the shard; when it is mended, the same command continues",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )
