"""A run is its name: what makes it the same run, and the difference shown where it is another."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from medvlp.configuration import to_plain
from medvlp.errors import CheckpointError, ConfigurationError
from medvlp.optimisation import OptimiserConfig
from medvlp.tasks.vqa.task import QuestionAnswering
from medvlp.values import unchecked
from scaleout.runs.config import DataConfig, RunConfig, ScaleConfig, TrackingConfig, TrainConfig
from scaleout.runs.record import RUN_FILE, RunRecord, create_run, load_run, run_folder, update_run

CONFIG = RunConfig(name="first", storage="/runs", knowledge="/k", data=DataConfig(shards="/s", links="/l"), train=TrainConfig(max_steps=10))
FINGERPRINTS = {"shards": "a", "links": "b", "knowledge": "c", "tokenizer": "d"}


def record(config: RunConfig = CONFIG) -> RunRecord:
    return RunRecord(kind="pretrain", config=to_plain(config), fingerprints=FINGERPRINTS, mlflow_run="m1")


def written(folder: Path) -> RunRecord:
    """The record after a way over the disk."""
    create_run(str(folder), record())
    loaded = load_run(str(folder))
    assert loaded is not None
    return loaded


def changed(**changes: Any) -> RunConfig:
    """The configuration with dotted settings changed, written with two underscores for a dot."""
    config = CONFIG
    for name, value in changes.items():
        *parents, last = name.split("__")
        parts = [config]
        for parent in parents:
            parts.append(getattr(parts[-1], parent))
        for parent, part in zip([*reversed(parents), None], reversed(parts), strict=True):
            value, last = replace(part, **{last: value}), parent
        config = value
    return config


def test_the_same_configuration_goes_on(tmp_path: Path) -> None:
    assert written(tmp_path) == record()
    written_again = load_run(str(tmp_path))
    written_again.going_on("pretrain", CONFIG, FINGERPRINTS, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"scale": ScaleConfig(workers=2, zero_stage=3)},
        {"scale": ScaleConfig(activation_checkpointing=True, compile=True)},
        {"tracking": TrackingConfig(uri="http://elsewhere")},
        {"storage": "s3://moved"},
        {"knowledge": "s3://moved"},
        {"data__shards": "s3://moved"},
        {"data__ahead": 9},
        {"data__bad_samples": 0.5},
        {"train__log_every": 7},
    ],
)
def test_where_it_lies_and_who_works_may_change(tmp_path: Path, change: dict[str, Any]) -> None:
    written(tmp_path).going_on("pretrain", changed(**change), FINGERPRINTS, "here")


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"train__max_steps": 9}, "train.max_steps: was 10, now 9; it can only be raised"),
        ({"task": QuestionAnswering()}, "pretext.masked_image.heads: was 6, now None; "),
        ({"train__optimiser__learning_rate": 0.5}, "train.optimiser.learning_rate: was 1e-05, now 0.5"),
        ({"train__seed": 1}, "train.seed: was 0, now 1"),
        ({"model__knowledge__dropout": 0.0}, "model.knowledge.dropout: was 0.2, now 0.0"),
        ({"data__window_shards": 1}, "data.window_shards: was 4, now 1"),
        ({"task__weights__itm": 0.0}, "pretext.weights.itm: was 0.1, now 0.0"),
    ],
)
def test_another_configuration_is_refused_with_the_difference(tmp_path: Path, change: dict[str, Any], shown: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        written(tmp_path).going_on("pretrain", changed(**change), FINGERPRINTS, "here")
    assert str(caught.value).startswith(f"here holds a run with another configuration; choose another --name, or restore: {shown}")


def test_every_difference_is_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"train\.seed: .*; train\.max_steps: "):
        written(tmp_path).going_on("pretrain", changed(train__seed=1, train__max_steps=3), FINGERPRINTS, "here")


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_other_data_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"fingerprint of {name}: was '{FINGERPRINTS[name]}', now 'z'"):
        written(tmp_path).going_on("pretrain", CONFIG, FINGERPRINTS | {name: "z"}, "here")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="kind: was 'pretrain', now 'finetune'"):
        written(tmp_path).going_on("finetune", CONFIG, FINGERPRINTS, "here")


def test_two_starts_at_once_are_one_run(tmp_path: Path) -> None:
    create_run(str(tmp_path), record())
    with pytest.raises(ConfigurationError, match="another run has just been started"):
        create_run(str(tmp_path), replace(record(), mlflow_run="m2"))
    assert load_run(str(tmp_path)).mlflow_run == "m1"


def test_no_run_is_none(tmp_path: Path) -> None:
    assert load_run(str(tmp_path)) is None


def test_a_finished_run_can_be_given_more_steps(tmp_path: Path) -> None:
    longer = written(tmp_path).going_on("pretrain", changed(train__max_steps=20), FINGERPRINTS, "here")
    assert longer.extended == (10,)
    update_run(str(tmp_path), longer)
    again = load_run(str(tmp_path))
    assert again == longer
    assert again.going_on("pretrain", changed(train__max_steps=20), FINGERPRINTS, "here") is again
    with pytest.raises(ConfigurationError, match=r"train\.max_steps: was 20, now 10; it can only be raised"):
        again.going_on("pretrain", CONFIG, FINGERPRINTS, "here")


@pytest.mark.parametrize("path", ["data.minimum_crop", "train.optimiser.beta1", "model.fusion.heads", "pretext.weights.itm", "start_from"])
def test_a_field_that_is_younger_than_the_run_has_its_default(tmp_path: Path, path: str) -> None:
    written(tmp_path)
    file = tmp_path / RUN_FILE
    content = json.loads(file.read_text())
    *parents, last = path.split(".")
    section = content["config"]
    for parent in parents:
        section = section[parent]
    del section[last]
    file.write_text(json.dumps(content))
    load_run(str(tmp_path)).going_on("pretrain", CONFIG, FINGERPRINTS, "here")


def test_a_run_from_before_a_rule_is_read_and_continues(tmp_path: Path) -> None:
    with unchecked():
        old = changed(data__bad_samples=1.5, train__optimiser=OptimiserConfig(weight_decay=-1.0), name="a+b")
    begun = RunRecord(kind="pretrain", config=to_plain(old), fingerprints=FINGERPRINTS, mlflow_run="m")
    create_run(str(tmp_path), begun)
    read = load_run(str(tmp_path))
    assert read is not None
    assert read.open_config(RunConfig, "here") == old
    assert read.going_on("pretrain", old, FINGERPRINTS, "here") is read


def test_a_field_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    written(tmp_path)
    file = tmp_path / RUN_FILE
    content = json.loads(file.read_text())
    content["config"]["train"]["invented_later"] = 1
    file.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=r"TrainConfig has no invented_later.*newer version"):
        load_run(str(tmp_path)).going_on("pretrain", CONFIG, FINGERPRINTS, "here")


NULLED = [json.dumps({"version": 2, **asdict(record()), name: None}).encode() for name in ("kind", "config", "fingerprints", "mlflow_run")]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"3", b'{"version": 2, "name": "x"}', b'{"version": null}', b"[" * 100_000, *NULLED]
)
def test_a_damaged_record_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / RUN_FILE).write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{RUN_FILE} is damaged"):
        load_run(str(tmp_path))


@pytest.mark.parametrize("config", [{"train": None}, {"train": 3}, {"data": []}, {"name": None}])
def test_a_record_with_a_wrong_configuration_is_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    broken = replace(record(), config={**record().config, **config})
    with pytest.raises(CheckpointError, match="the configuration of run here is unreadable"):
        broken.open_config(RunConfig, "here")


@pytest.mark.parametrize(("version", "remedy"), [(1, "start again under another --name"), (9, "use that version")])
def test_a_run_of_another_version_is_refused_with_both(tmp_path: Path, version: int, remedy: str) -> None:
    (tmp_path / RUN_FILE).write_text(json.dumps({"version": version, "kind": "pretrain"}))
    with pytest.raises(CheckpointError, match=f"has format {version}, this code reads 2: .*; {remedy}"):
        load_run(str(tmp_path))


def test_a_run_has_a_folder_of_its_name() -> None:
    assert run_folder(CONFIG) == "/runs/first"
