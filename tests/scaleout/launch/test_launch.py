"""The driver, up to where it would start Ray."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError
from scaleout.checkpoint.lease import LEASE_FOLDER, Pace, hold
from scaleout.io import storage
from scaleout.launch.launch import launch, prepare
from scaleout.runs.config import RunConfig
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


def test_a_best_metric_that_the_task_lacks_is_refused(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path
) -> None:
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)
    prepare(replace(config, train=replace(config.train, best_metric="val/itm_accuracy")))
    with pytest.raises(ConfigurationError, match=r"train\.best_metric 'val/itm_acuracy' is no metric .* did you mean 'val/itm_accuracy'\?"):
        prepare(replace(config, train=replace(config.train, best_metric="val/itm_acuracy")))


def test_findings_of_a_type_that_the_bundle_lacks_are_refused(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path
) -> None:
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)

    def with_findings(*types: str) -> RunConfig:
        return replace(config, train=replace(config.train, findings=list(types)))

    for known in ((), ("finding",), ("finding", "anatomy")):
        prepare(with_findings(*known))
    message = (
        r"train.findings: no entity .* type 'disease', 'X'; the types of its \d+ entities are .*'finding' \(\d+\).*: choose from these"
    )
    with pytest.raises(ConfigurationError, match=message):
        prepare(with_findings("finding", "disease", "X"))
