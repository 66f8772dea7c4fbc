"""The driver, up to where it would start Ray."""

from dataclasses import replace
from pathlib import Path

import pytest

from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.checkpoint.lease import LEASE_FOLDER, Pace, hold
from scaleout.io import storage
from scaleout.launch.launch import deliver_rest, find_or_create, launch, prepare
from scaleout.runs.config import RunConfig
from scaleout.runs.record import CHECKPOINTS_FOLDER, RUN_FILE, run_folder, update_run
from scaleout.tracking import MlflowTracker, RunStatus
from scaleout.tracking.runs import open_client
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


@pytest.mark.parametrize("rest", [f"{CHECKPOINTS_FOLDER}/step-00000001/COMPLETE.json", "metrics.jsonl"])
def test_the_rest_of_a_run_without_its_record_is_not_adopted(
    rest: str, phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path
) -> None:
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)
    storage.write_bytes(storage.join(run_folder(config), *rest.split("/")), b"{}")
    message = rf"tiny has {rest.split('/')[0]} of a run whose run\.json is missing: restore it from a copy, choose another --name, or empty"
    with pytest.raises(CheckpointError, match=message):
        find_or_create("pretrain", config, prepare(config)[1], f"sqlite:///{tmp_path}/mlflow.db")


def test_a_record_holds_the_address_of_the_store_without_its_password(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path, empty_store: str
) -> None:
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)
    config = replace(config, tracking=replace(config.tracking, uri="http://user:s3cr%40t@127.0.0.1:9/path"))
    config, inputs = prepare(config)
    find_or_create("pretrain", config, inputs, empty_store)
    record = Path(run_folder(config), RUN_FILE).read_text()
    assert "http://127.0.0.1:9/path" in record
    assert "s3cr" not in record


def test_a_copied_run_gets_a_new_mlflow_run_with_all_its_points_on_request(
    phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path, empty_store: str
) -> None:
    config, inputs = prepare(tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path))
    record = find_or_create("pretrain", config, inputs, empty_store)
    tracker = MlflowTracker(empty_store, record.mlflow_run, Path(run_folder(config)))
    tracker.metrics({"train/loss": 1.0}, 1)
    tracker.finish(RunStatus.KILLED)
    update_run(run_folder(config), replace(record, mlflow_run="0" * 32))  # of a store on another machine
    with pytest.raises(ConfigurationError, match=r"copied from another machine .* --tracking\.new_run true"):
        find_or_create("pretrain", config, inputs, empty_store)
    config = replace(config, tracking=replace(config.tracking, new_run=True))
    new = find_or_create("pretrain", config, inputs, empty_store)
    assert new.mlflow_run not in (record.mlflow_run, "0" * 32)
    assert find_or_create("pretrain", config, inputs, empty_store) == new, "the same command continues the same MLflow run"
    deliver_rest(config, empty_store, new.mlflow_run)
    assert [point.step for point in open_client(empty_store).get_metric_history(new.mlflow_run, "train/loss")] == [1]
