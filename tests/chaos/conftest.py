"""The unbroken run that every broken one is compared with, and data that may be spoilt."""

import shutil
from pathlib import Path

import pytest

from scaleout.runs.config import RunConfig
from tests.chaos.runs import chaos_config
from tests.chaos.unbroken import Left, left_by
from tests.scaleout.train.tiny_run import TinyRun


@pytest.fixture(scope="session")
def unbroken(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path_factory: pytest.TempPathFactory) -> Left:
    """What the run of ``chaos_config`` leaves when nothing breaks."""
    config = chaos_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path_factory.mktemp("unbroken"))
    TinyRun(config).run()
    return left_by(f"{config.storage}/{config.name}")


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """The same run, in a folder and with shards of its own."""
    shards = shutil.copytree(phantom_shards, tmp_path / "shards")
    return chaos_config(str(shards), phantom_links, phantom_knowledge, tmp_path / "runs")
