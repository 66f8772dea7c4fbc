"""What is checked before a worker is held."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError, DataError
from scaleout.io.record_table import RecordTable
from scaleout.runs.config import RunConfig, ScaleConfig
from scaleout.runs.inputs import Inputs
from scaleout.shards.manifest import ShardManifest, ShardRecord
from scaleout.shards.prepare import prepare_shards
from scaleout.workers.preflight import CHECKED_FILES, check_files, check_resources, check_run
from tests.scaleout.shards.toy import ToyCorpus
from tests.scaleout.stream.plans import shard_record
from tests.scaleout.train.tiny_run import tiny_config


def test_too_few_cpus_are_refused_with_the_numbers() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_resources(ScaleConfig(workers=3, cpus_per_worker=1), {"CPU": 3.0})
    assert str(caught.value) == (
        "3 workers of 1 CPUs leave 0 of the cluster's 3 CPUs to Ray Data, which needs at least 1, or training waits forever: "
        "set scale.workers to at most 2, lower scale.cpus_per_worker, or add nodes"
    )


@pytest.mark.parametrize(
    ("workers", "per_worker", "cpus", "fits"), [(2, 0.5, 2, True), (3, 0.5, 2, False), (1, 1, 2, True), (1, 1, 1, False)]
)
def test_one_cpu_is_left_to_the_data(workers: int, per_worker: float, cpus: float, fits: bool) -> None:
    scale = ScaleConfig(workers=workers, cpus_per_worker=per_worker)
    if fits:
        assert check_resources(scale, {"CPU": cpus}) is False
    else:
        with pytest.raises(ConfigurationError, match=r"set scale\.workers to at most \d"):
            check_resources(scale, {"CPU": cpus})


def test_gpus_are_taken_where_there_are_any_unless_told() -> None:
    resources = {"CPU": 8.0, "GPU": 2.0}
    assert check_resources(ScaleConfig(workers=2), resources)
    assert not check_resources(ScaleConfig(workers=2, use_gpu=False), resources)
    assert not check_resources(ScaleConfig(workers=2), {"CPU": 8.0})


@pytest.mark.parametrize(("use_gpu", "gpus"), [(None, 1.0), (True, 0.0)])
def test_a_gpu_for_every_worker_or_none(use_gpu: bool | None, gpus: float) -> None:
    with pytest.raises(ConfigurationError, match=f"2 workers need one GPU each, the cluster has {gpus:g}"):
        check_resources(ScaleConfig(workers=2, use_gpu=use_gpu), {"CPU": 8.0, "GPU": gpus})


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Shards of the toy corpus."""
    prepare_shards(ToyCorpus(), str(tmp_path), samples_per_shard=10, vocabulary_size=0, run=map)
    return tmp_path


def test_whole_shards_pass(shards: Path) -> None:
    check_files(str(shards), ShardManifest.load(str(shards)).shards, "shard", "jobs/prepare.py")


@pytest.mark.parametrize(("cut", "said"), [(-512, "is truncated"), (None, "no such file")])
def test_a_damaged_shard_is_named(shards: Path, cut: int | None, said: str) -> None:
    path = shards / "train-00001.tar"
    content = path.read_bytes()
    path.unlink()
    if cut:
        path.write_bytes(content[:cut])
    with pytest.raises(DataError, match=rf"train-00001\.tar.*{said}"):
        check_files(str(shards), ShardManifest.load(str(shards)).shards, "shard", "jobs/prepare.py")


def test_of_many_shards_some_are_looked_at_from_first_to_last(tmp_path: Path) -> None:
    count = 10 * CHECKED_FILES
    (tmp_path / "shard").write_bytes(b"x")
    shards = [shard_record(number, rows=1) for number in range(count)]
    manifest = ShardManifest(corpus="many", public=True, shards=RecordTable.of(ShardRecord, shards))
    for shard in shards[:: count // CHECKED_FILES]:
        (tmp_path / shard.name).write_bytes(b"x")
    check_files(str(tmp_path), manifest.shards, "shard", "jobs/prepare.py")
    (tmp_path / shards[-count // CHECKED_FILES].name).unlink()
    with pytest.raises(DataError):
        check_files(str(tmp_path), manifest.shards, "shard", "jobs/prepare.py")


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """A run that could be started."""
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)


def test_a_good_run_passes_and_leaves_nothing_behind(config: RunConfig, tmp_path: Path) -> None:
    assert check_run(config, Inputs.open(config), {"CPU": 2.0}) is False
    assert list(tmp_path.iterdir()) == []


def test_no_permission_to_write_is_refused(config: RunConfig) -> None:
    blocked = replace(config, storage="/proc/nothing")
    with pytest.raises(ConfigurationError, match="cannot write below /proc/nothing"):
        check_run(blocked, Inputs.open(config), {"CPU": 2.0})


def test_a_missing_split_is_refused(config: RunConfig) -> None:
    inputs = Inputs.open(config)
    shards = replace(inputs.shards, shards=inputs.shards.shards_of("train"))
    without = replace(inputs, corpora=(replace(inputs.corpora[0], shards=shards),))
    with pytest.raises(DataError, match="no sample of split 'validation'"):
        check_run(config, without, {"CPU": 2.0})


def test_the_fewest_workers_have_to_fit() -> None:
    assert check_resources(ScaleConfig(workers=8, minimum_workers=2), {"CPU": 2.0}) is False
    with pytest.raises(ConfigurationError, match=r"3 workers .* set scale\.minimum_workers to at most 2"):
        check_resources(ScaleConfig(workers=8, minimum_workers=3), {"CPU": 2.0})
