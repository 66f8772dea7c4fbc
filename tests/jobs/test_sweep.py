"""A sweep: ordinary runs under one parent, judged by Ray Tune, and nothing left behind."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune.schedulers import ASHAScheduler
from ray.util import placement_group_table

from jobs.sweep import sweep
from medvlp.errors import ConfigurationError, DataError
from scaleout.checkpoint.record import read_record
from scaleout.cli import parse
from scaleout.launch.launch import launch
from scaleout.runs.config import ScaleConfig
from scaleout.studies.sweep.config import SearchConfig, SweepConfig
from scaleout.studies.sweep.search import SweepOutcome, concurrent_trials
from scaleout.studies.sweep.trial import NUMBER, STEP
from scaleout.tracking.runs import PARENT_RUN_TAG, open_client
from tests.jobs.tiny import Artefacts, pretrain_config, pretrain_options

METRICS = {
    "val/align_image_auroc": 0.8,
    "val/itm_accuracy": 0.7,
    "val/mlm_entity_accuracy": 0.5,
    "val/mlm_entity_accuracy_shuffled_image": 0.3,
    "val/mlm_loss": 5.0,
}


def sweep_config(phantoms: Artefacts, runs: Path, *overrides: str) -> SweepConfig:
    """Three trials of two validations."""
    options = ["--sweep.trials", "3", "--tracking.pictures", "false"]
    short = ["--train.max_steps", "4", "--train.validate_every", "2", "--train.checkpoint_every", "4"]
    return parse(SweepConfig, pretrain_options(phantoms, "sweep", runs, *options, *short, *overrides))


class StopsTheSecond(ASHAScheduler):
    """The scheduler of a sweep, which has luck to thank if trials of four steps differ; this one stops a trial in any case."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Stop "sweep-1" at its first validation."""
        decision = super().on_trial_result(tune_controller, trial, result)
        return self.STOP if trial.config[NUMBER] == 1 else decision


def scheduler(config: SweepConfig) -> ASHAScheduler:
    """In place of the scheduler of a sweep."""
    return StopsTheSecond(time_attr=STEP, max_t=config.train.max_steps, grace_period=2, stop_last_trials=False)


@pytest.fixture(scope="module")
def outcome(phantoms: Artefacts, ray_cluster: None, runs: Path) -> Iterator[SweepOutcome]:
    """A sweep that has ended."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scaleout.studies.sweep.search.scheduler", scheduler)
        yield sweep(sweep_config(phantoms, runs))


@pytest.mark.ray
@pytest.mark.slow
def test_every_trial_is_an_ordinary_run_with_weights_of_its_own(outcome: SweepOutcome, runs: Path) -> None:
    assert {trial.name for trial in outcome.trials} == {"sweep-0", "sweep-1", "sweep-2"}
    assert not outcome.failed
    assert len({tuple(trial.weights.values()) for trial in outcome.trials}) == 3
    for trial in outcome.trials:
        record = json.loads((runs / trial.name / "run.json").read_text())
        assert record["kind"] == "pretrain"
        assert record["config"]["pretext"]["weights"] == trial.weights
        assert read_record(trial.checkpoint).step == trial.steps
        assert trial.steps in (2, 4)
        assert trial.finished == (trial.steps == 4)
    assert [(trial.steps, trial.finished) for trial in outcome.trials if trial.name == "sweep-1"] == [(2, False)]
    assert outcome.best.finished
    assert outcome.best.score == max(trial.score for trial in outcome.trials if trial.finished)


@pytest.mark.ray
@pytest.mark.slow
def test_all_runs_are_closed_under_one_parent_that_holds_the_table(outcome: SweepOutcome, runs: Path) -> None:
    client = open_client(outcome.tracking_uri)
    parent = client.get_run(outcome.mlflow_run)
    children = client.search_runs([parent.info.experiment_id], f"tags.`{PARENT_RUN_TAG}` = '{outcome.mlflow_run}'")
    statuses = {child.info.run_name: child.info.status for child in children}
    assert statuses == {trial.name: "FINISHED" if trial.finished else "KILLED" for trial in outcome.trials}
    assert parent.info.status == "FINISHED"
    assert parent.data.params["sweep.trials"] == "3"
    assert parent.data.tags["best_trial"] == outcome.best.name
    table = json.loads((runs / "sweep" / "sweep.json").read_text())
    assert [trial["name"] for trial in table["trials"]] == [trial.name for trial in outcome.trials]
    assert table["best"]["checkpoint"] == outcome.best.checkpoint
    assert [file.path for file in client.list_artifacts(outcome.mlflow_run)] == ["sweep.json"]


@pytest.mark.ray
@pytest.mark.slow
def test_the_cluster_has_everything_back(outcome: SweepOutcome) -> None:
    deadline = time.monotonic() + 30
    while (free := ray.available_resources().get("CPU")) != ray.cluster_resources()["CPU"]:
        assert time.monotonic() < deadline, f"{free} CPUs are free"
        time.sleep(0.5)
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}


@pytest.mark.ray
@pytest.mark.slow
def test_the_same_name_repeats_nothing_and_refuses_other_ranges(
    outcome: SweepOutcome, phantoms: Artefacts, runs: Path, ray_cluster: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    again = sweep(sweep_config(phantoms, runs))
    assert "sweep 'sweep' has finished all 3 trials: nothing to do" in caplog.text
    assert again == outcome
    with pytest.raises(ConfigurationError, match=r"sweep\.itm: was .*, now \(0\.5, 0\.6\)"):
        sweep(sweep_config(phantoms, runs, "--sweep.itm", "[0.5, 0.6]"))


@pytest.mark.parametrize(("cpus", "gpus", "expected"), [(4, 0, 2), (3.9, 0, 1), (100, 0, 50), (100, 8, 4)])
def test_as_many_trials_run_at_once_as_fit_with_their_data_tasks(cpus: float, gpus: float, expected: int) -> None:
    scale = ScaleConfig(workers=2, cpus_per_worker=0.5)
    assert concurrent_trials(scale, {"CPU": cpus, "GPU": gpus}, use_gpu=gpus > 0) == expected


def test_the_score_knows_no_loss() -> None:
    search = SearchConfig()
    assert search.rate(METRICS) == pytest.approx(0.8 + 0.7 + 0.5 - 0.3)
    assert search.rate({**METRICS, "val/mlm_loss": 0.1}) == search.rate(METRICS)
    with pytest.raises(ConfigurationError, match="that do not depend on the weights, not mlm_loss"):
        SearchConfig(score={"itm_accuracy": 1.0, "mlm_loss": -1.0})
    with pytest.raises(DataError, match="align_image_auroc"):
        search.rate({"val/itm_accuracy": 0.5})


def test_weights_depend_on_seed_and_number_and_lie_in_their_ranges() -> None:
    search = SearchConfig(itm=(0.5, 0.5), align=(1.0, 4.0))
    drawn = [search.weights(number) for number in range(50)]
    assert drawn == [search.weights(number) for number in range(50)]
    assert drawn != [SearchConfig(itm=(0.5, 0.5), align=(1.0, 4.0), seed=1).weights(number) for number in range(50)]
    assert len({weights.mlm for weights in drawn}) == 50
    assert all(weights.itm == pytest.approx(0.5) and 1.0 <= weights.align <= 4.0 for weights in drawn)
    assert 15 < sum(weights.align < 2.0 for weights in drawn) < 35  # as many below the geometric mean as above
    with pytest.raises(ConfigurationError, match="give the smaller weight first"):
        SearchConfig(mim=(2.0, 1.0))


@pytest.mark.ray
@pytest.mark.slow
def test_a_stopped_run_leaves_a_checkpoint_and_goes_on_when_asked_again(phantoms: Artefacts, runs: Path, ray_cluster: None) -> None:
    config = pretrain_config(phantoms, "stopped-early", runs, "--tracking.pictures", "false")
    stopped = launch(config, keep_training=never)
    client = open_client(stopped.tracking_uri)
    assert read_record(stopped.checkpoint).step == 3
    assert "val/itm_accuracy" in stopped.metrics
    assert client.get_run(stopped.mlflow_run).info.status == "KILLED"
    finished = launch(config)
    assert finished.mlflow_run == stopped.mlflow_run
    assert read_record(finished.checkpoint).step == 6
    assert client.get_run(finished.mlflow_run).info.status == "FINISHED"
    assert [point.step for point in client.get_metric_history(finished.mlflow_run, "val/itm_accuracy")] == [3, 6]


def never(metrics: dict[str, float], step: int) -> bool:
    """Stops a run at its first validation."""
    return False


def test_the_configuration_of_a_trial_has_the_address_of_mlflow_without_its_password(phantoms: Artefacts, tmp_path: Path) -> None:
    trial = sweep_config(phantoms, tmp_path).trial(0, "http://user:secret@host:5000/path", "parent")
    assert trial.tracking.uri == "http://host:5000/path"
