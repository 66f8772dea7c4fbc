"""The driver, up to where it would start Ray."""

from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError
from scaleout.checkpoint.lease import LEASE_FOLDER, Pace, hold
from scaleout.io import storage
from scaleout.launch.launch import launch
from scaleout.runs.record import run_folder
from tests.scaleout.train.tiny_run import tiny_config


def test_a_name_that_is_held_is_refused_before_anything_is_written(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path
) -> None:
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)
    with (
        hold(run_folder(config), Pace(beat=0.1, patience=5.0)),
        pytest.raises(ConfigurationError, match=r"tiny is being trained by process \d+ on .* since .* another --name"),
    ):
        launch(config)
    assert storage.list_names(run_folder(config)) == [LEASE_FOLDER]
