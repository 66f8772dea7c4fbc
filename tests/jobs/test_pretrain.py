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

from jobs.pretrain import main, pretrain
from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.checkpoint.read import verified_copy
from scaleout.checkpoint.record import COMPLETE_FILE, read_record
from scaleout.cli import run_job
from scaleout.launch.launch import Outcome
from scaleout.tracking.runs import open_client
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

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
    "train/skipped_steps",
    "perf/checkpoint_stall_seconds",
    "perf/start_seconds",
    "perf/spilled_bytes",
    *(f"perf/{stage}_seconds" for stage in ("step", "data_wait", "read_wait", "make", "transfer")),
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
    for name in ("metrics", "events"):
        sent = int((folder / f"{name}.sent").read_text())
        assert sent == len((folder / f"{name}.jsonl").read_text().splitlines()), "something never reached MLflow"


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
    assert "choose another --name" in str(refusal.value)


def unfinished(outcome: Outcome, folder: Path) -> None:
    """A copy of the run that was killed after its first checkpoint."""
    shutil.copytree(Path(outcome.checkpoint).parents[1], folder / "tiny")
    (folder / "tiny" / "checkpoints" / Path(outcome.checkpoint).name / COMPLETE_FILE).unlink()


def test_resuming_with_another_zero_stage_is_refused_before_any_worker_is_started(
    outcome: Outcome, phantoms: Artefacts, ray_cluster: None, tmp_path: Path
) -> None:
    unfinished(outcome, tmp_path)
    config = pretrain_config(phantoms, "tiny", tmp_path, "--tracking.uri", outcome.tracking_uri, "--scale.zero_stage", "1")
    with pytest.raises(CheckpointError, match=r"which ZeRO stage 1 in fp32 cannot read: continue with --scale\.zero_stage 2"):
        pretrain(config)


def test_preflight_only_checks(
    phantoms: Artefacts, ray_cluster: None, tmp_path: Path, capsys: pytest.CaptureFixture[str], outcome: Outcome, runs: Path
) -> None:
    run_job(main, [*pretrain_options(phantoms, "checked", tmp_path), "--preflight"])
    assert "run 'checked' passes all checks" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    for name, option, value, said in [
        ("checked", "--scale.workers", "9", "set scale.workers to at most"),
        ("tiny", "--train.seed", "1", "train.seed: was 0, now 1"),
    ]:
        with pytest.raises(SystemExit) as refusal:
            run_job(main, [*pretrain_options(phantoms, name, runs), "--preflight", option, value])
        assert refusal.value.code == 2
        assert said in capsys.readouterr().err


@pytest.mark.slow
def test_another_number_of_workers_goes_on_to_the_same_end(
    outcome: Outcome, phantoms: Artefacts, ray_cluster: None, tmp_path: Path
) -> None:
    unfinished(outcome, tmp_path)
    # Three workers share the four micro-batches of a step, and the twelve that are left.
    config = pretrain_config(phantoms, "tiny", tmp_path, "--scale.workers", "3", "--tracking.uri", outcome.tracking_uri)
    again = pretrain(config)
    record = read_record(again.checkpoint)
    assert (record.step, record.position, record.workers) == (6, 6 * 32, 3)
    losses = {name: value for name, value in outcome.metrics.items() if name.endswith("loss")}
    assert {name: again.metrics[name] for name in losses} == pytest.approx(losses, rel=1e-3)
