"""The main job from shards to a tracked, complete, resumable run: two ZeRO-2 workers on the session's Ray."""

import json
import logging
import shutil
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from safetensors.torch import load_file

from jobs.pretrain import pretrain
from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.tracking.runs import open_client
from scaleout.train.checkpoint import COMPLETE_FILE, read_record, verified_copy
from scaleout.train.launch import Outcome
from tests.jobs.tiny import Artefacts, pretrain_config

pytestmark = pytest.mark.ray

OBJECTIVES = ("mlm", "mim", "itm", "align")
SIDES = ("image", "text")
INTERFACE = {
    "train/loss",
    *(f"{split}/{objective}_loss" for split in ("train", "val") for objective in OBJECTIVES),
    "train/lr",
    "train/grad_norm",
    "perf/samples_per_second",
    "perf/data_stall_fraction",
    "perf/peak_memory_gb",
    "val/mlm_accuracy",
    "val/mlm_entity_accuracy",
    "val/mlm_entity_accuracy_shuffled_image",
    "val/itm_accuracy",
    *(f"val/align_{side}_{figure}" for side in SIDES for figure in ("auroc", "f1")),
}
"""What dashboards and sweeps rely on."""
BESIDE = {
    *(f"train/lr_{role}" for role in ("encoders", "fusion", "heads", "knowledge")),
    "train/skipped_samples",
    "perf/checkpoint_seconds",
    *(f"perf/{stage}_seconds" for stage in ("step", "data_wait", "read_wait", "decode", "collate", "transfer")),
    "val/modality_only_itm_accuracy",
    "val/modality_only_mlm_entity_accuracy",
    *(f"val/modality_only_align_{side}_{figure}" for side in SIDES for figure in ("auroc", "f1")),
}
LOGGED, VALIDATED = [2, 4, 6], [3, 6]


@pytest.fixture(scope="module")
def outcome(phantoms: Artefacts, ray_cluster: None, runs: Path) -> Outcome:
    """A run that went from the first step to the last."""
    return pretrain(pretrain_config(phantoms, "tiny", runs))


@pytest.fixture(scope="module")
def client(outcome: Outcome) -> MlflowClient:
    """Of the run's tracking store."""
    return open_client(outcome.tracking_uri)


@pytest.fixture(scope="module")
def tracked(outcome: Outcome, client: MlflowClient) -> Run:
    """The run in MLflow."""
    return client.get_run(outcome.mlflow_run)


def test_the_store_is_in_the_root_of_the_runs_and_holds_one_finished_run(
    outcome: Outcome, tracked: Run, client: MlflowClient, runs: Path
) -> None:
    assert outcome.tracking_uri == f"sqlite:///{runs}/mlflow.db"
    assert tracked.info.status == "FINISHED"
    assert tracked.info.run_name == "tiny"
    assert (tracked.data.tags["kind"], tracked.data.tags["corpus"]) == ("pretrain", "phantom")
    same = client.search_runs([tracked.info.experiment_id], "attributes.run_name = 'tiny'")
    assert len(same) == 1


def test_every_number_is_there_by_its_name_and_optimiser_step(tracked: Run, client: MlflowClient, outcome: Outcome) -> None:
    # Utilisation is told where the peak of every GPU is known.
    assert set(tracked.data.metrics) - {"perf/mfu"} == INTERFACE | BESIDE
    for name in sorted(INTERFACE):
        steps = [metric.step for metric in client.get_metric_history(outcome.mlflow_run, name)]
        assert steps == (VALIDATED if name.startswith("val/") else LOGGED), name
    assert tracked.data.params["train.max_steps"] == "6"
    assert tracked.data.params["pretext.weights.itm"] == "0.1"
    assert tracked.data.params["scale.workers"] == "2"
    assert outcome.metrics == pytest.approx({name: value for name, value in tracked.data.metrics.items() if name.startswith("val/")})


def test_pictures_of_a_public_corpus_are_there_after_every_validation(client: MlflowClient, outcome: Outcome) -> None:
    for name in ("reconstruction", "entity_attention"):
        paths = [file.path for file in client.list_artifacts(outcome.mlflow_run, f"pictures/{name}")]
        assert paths == [f"pictures/{name}/step-{step:08d}.png" for step in VALIDATED]


def test_the_same_numbers_lie_beside_the_checkpoints(tracked: Run, runs: Path) -> None:
    folder = runs / "tiny"
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    last = {name: value for record in records for name, value in record["metrics"].items()}
    assert last == pytest.approx(tracked.data.metrics)
    assert json.loads((folder / "summary.json").read_text())["status"] == "FINISHED"
    assert not (folder / "mlflow-spool" / "spool.jsonl").read_bytes(), "something never reached MLflow"


def test_the_checkpoint_is_complete(outcome: Outcome) -> None:
    record = read_record(outcome.checkpoint)
    assert (record.step, record.position, record.skipped, record.workers, record.zero_stage) == (6, 6 * 32, 0, 2, 2)
    assert sum("optim_states" in name for name in record.files) == record.workers
    with verified_copy(outcome.checkpoint, record) as local:
        weights = load_file(local / "weights.safetensors")
    assert all(value.isfinite().all() for value in weights.values())
    assert {"arl", "masked_language", "masked_image", "matching", "image_alignment", "text_alignment"} == {
        name.split(".")[0] for name in weights
    }


def test_a_finished_run_says_so(
    outcome: Outcome, phantoms: Artefacts, runs: Path, ray_cluster: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    started = time.monotonic()
    again = pretrain(pretrain_config(phantoms, "tiny", runs))
    assert "run 'tiny' has finished all 6 steps: nothing to do" in caplog.text
    assert (again.checkpoint, again.mlflow_run) == (outcome.checkpoint, outcome.mlflow_run)
    assert time.monotonic() - started < 20


def test_the_same_name_with_another_configuration_is_refused_with_the_difference(
    outcome: Outcome, phantoms: Artefacts, runs: Path, ray_cluster: None
) -> None:
    config = pretrain_config(phantoms, "tiny", runs, "--train.seed", "1", "--pretext.weights.mim", "2")
    with pytest.raises(ConfigurationError) as refusal:
        pretrain(config)
    assert "pretext.weights.mim: was 1.0, now 2.0; train.seed: was 0, now 1" in str(refusal.value)
    assert "take another --name" in str(refusal.value)


@pytest.mark.parametrize(
    ("overrides", "difference"),
    [
        (["--scale.zero_stage", "1"], "this run has 2 with stage 1"),
        (["--scale.workers", "1"], "this run has 1 with stage 2"),
    ],
)
def test_resuming_with_other_workers_is_refused_before_any_is_started(
    overrides: list[str], difference: str, outcome: Outcome, phantoms: Artefacts, ray_cluster: None, tmp_path: Path
) -> None:
    shutil.copytree(Path(outcome.checkpoint).parents[1], tmp_path / "tiny")
    (tmp_path / "tiny" / "checkpoints" / Path(outcome.checkpoint).name / COMPLETE_FILE).unlink()
    config = pretrain_config(phantoms, "tiny", tmp_path, "--tracking.uri", outcome.tracking_uri, *overrides)
    started = time.monotonic()
    with pytest.raises(CheckpointError) as refusal:
        pretrain(config)
    assert difference in str(refusal.value)
    assert "continue with --scale.workers 2 --scale.zero_stage 2" in str(refusal.value)
    assert time.monotonic() - started < 20
