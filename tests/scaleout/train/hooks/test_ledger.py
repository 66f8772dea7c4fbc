"""The ledger of a run that was interrupted and resumed is that of the unbroken one."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import DataError
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from tests.scaleout.train.ledger import read_ledger
from tests.scaleout.train.tiny_run import TinyRun, tiny_config


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path, ledger=True)


def folder_of(config: RunConfig) -> str:
    return storage.join(config.storage, config.name, "samples")


def test_every_step_names_its_samples_whether_or_not_it_was_interrupted(config: RunConfig) -> None:
    broken = replace(config, name="broken")
    TinyRun(config).run()
    TinyRun(broken).run(stop_at=3)
    TinyRun(broken).run()
    ledger = read_ledger(folder_of(config))
    assert list(ledger) == [1, 2, 3, 4, 5, 6]
    assert [list(step) for step in ledger.values()] == [[2 * step, 2 * step + 1] for step in range(6)]
    assert {len(keys) for step in ledger.values() for keys in step.values()} == {8}
    keys = [key for step in ledger.values() for samples in step.values() for key in samples]
    assert len(set(keys)) == len(keys), "an epoch shows every sample once"
    assert read_ledger(folder_of(broken)) == ledger


def test_two_attempts_that_disagree_are_told(config: RunConfig) -> None:
    TinyRun(config).run()
    content = storage.read_bytes(storage.join(folder_of(config), "step-000000003-rank-00000.json"))
    storage.write_bytes(storage.join(folder_of(config), "step-000000003-rank-00001.json"), content)
    assert len(read_ledger(folder_of(config))) == 6, "twice the same is no contradiction"
    storage.write_bytes(storage.join(folder_of(config), "step-000000003-rank-00001.json"), b'{"2": {"2": ["another"]}}')
    with pytest.raises(DataError, match="other samples of micro-batch 2"):
        read_ledger(folder_of(config))


def test_nothing_is_kept_unless_asked_for(config: RunConfig) -> None:
    TinyRun(replace(config, train=replace(config.train, ledger=False, max_steps=3))).run()
    assert storage.list_names(folder_of(config)) == []
