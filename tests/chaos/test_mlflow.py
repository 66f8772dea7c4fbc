"""An MLflow server that goes away: training does not wait for it, and what it missed is there when it is back, once."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError
from scaleout.launch.launch import deliver_rest
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from scaleout.tracking import MlflowTracker, RunStatus, start_run
from scaleout.tracking.runs import open_client
from tests.chaos.runs import At, resume
from tests.chaos.unbroken import Left, assert_as_unbroken, assert_mlflow_as_unbroken, left_by
from tests.faults import Fault, record
from tests.scaleout.tracking.server import MlflowServer
from tests.scaleout.train.tiny_run import TinyRun

pytestmark = pytest.mark.chaos

SETTING = "loop without Ray, a real MLflow server"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    """It runs."""
    server = MlflowServer(tmp_path)
    server.start()
    yield server
    server.stop()


def tracker(server: MlflowServer, run_id: str, config: RunConfig, patience: float) -> MlflowTracker:
    return MlflowTracker(server.uri, run_id, Path(run_folder(config)), interval=0.2, retry_interval=0.5, patience=patience)


def test_it_goes_away_and_comes_back_during_the_run(config: RunConfig, unbroken: Left, server: MlflowServer) -> None:
    run_id = start_run(server.uri, "chaos", config.name)
    mlflow = tracker(server, run_id, config, patience=60)
    run = TinyRun(config, trackers=[mlflow, At({3: server.stop, 9: server.start})])
    run.run()
    mlflow.finish(RunStatus.FINISHED)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    client = open_client(server.uri)
    assert_mlflow_as_unbroken(client, run_id, unbroken)
    assert client.get_run(run_id).info.status == "FINISHED"
    outcome = "training continues; what was missed is sent by itself"
    record(Fault(fault="MLflow goes away during the run", setting=SETTING, outcome=outcome, lost_steps=0, recovery_seconds=None))


def test_it_is_away_from_the_start_of_a_resumed_run_to_its_end(config: RunConfig, unbroken: Left, server: MlflowServer) -> None:
    run_id = start_run(server.uri, "chaos", config.name)
    first = tracker(server, run_id, config, patience=60)
    TinyRun(config, trackers=[first]).run(stop_at=4)
    first.finish(RunStatus.KILLED)
    server.stop()
    assert start_run(server.uri, "chaos", config.name, run_id=run_id) == run_id
    second = tracker(server, run_id, config, patience=0.5)
    resumed = resume(config, trackers=[second])
    second.finish(RunStatus.FINISHED)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    server.start()
    deliver_rest(config, server.uri, run_id)  # as the same command does, which finds the run finished
    client = open_client(server.uri)
    assert_mlflow_as_unbroken(client, run_id, unbroken)
    assert client.get_run(run_id).info.status == "FINISHED"
    assert len(client.search_runs([client.get_experiment_by_name("chaos").experiment_id])) == 1
    record(
        Fault(
            fault="MLflow is away from the start of a resumed run to its end",
            setting=SETTING,
            outcome="training continues; the same command, given again, sends what was missed",
            lost_steps=resumed.lost_steps,
            recovery_seconds=resumed.seconds,
        )
    )


def test_the_run_is_deleted_while_it_trains_and_restored(config: RunConfig, unbroken: Left, server: MlflowServer) -> None:
    run_id = start_run(server.uri, "chaos", config.name)
    client = open_client(server.uri)
    mlflow = tracker(server, run_id, config, patience=0.5)
    TinyRun(config, trackers=[mlflow, At({3: lambda: client.delete_run(run_id)})]).run()
    mlflow.finish(RunStatus.FINISHED)
    assert_as_unbroken(left_by(run_folder(config)), unbroken)
    with pytest.raises(ConfigurationError, match=f"mlflow runs restore --run-id {run_id}"):
        start_run(server.uri, "chaos", config.name, run_id=run_id)
    client.restore_run(run_id)
    deliver_rest(config, server.uri, run_id)
    assert_mlflow_as_unbroken(client, run_id, unbroken)
    outcome = "training continues; when the run is restored, the same command sends what was missed"
    record(
        Fault(fault="the run is deleted in MLflow while it trains", setting=SETTING, outcome=outcome, lost_steps=0, recovery_seconds=None)
    )


def test_what_mlflow_does_not_take_stays_for_the_next_time(
    config: RunConfig, server: MlflowServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run_id = start_run(server.uri, "chaos", config.name)
    deliver_rest(config, server.uri, run_id)
    assert not caplog.messages, "nothing was left"
    server.stop()
    offline = tracker(server, run_id, config, patience=0.1)
    offline.metrics({"train/loss": 1.0}, 1)
    offline.finish(RunStatus.FINISHED)
    caplog.clear()
    deliver_rest(config, server.uri, run_id)
    assert "does not answer" in caplog.messages[-1]
    server.start()
    deliver_rest(config, server.uri, run_id)
    assert "MLflow has the last" in caplog.messages[-1]
    assert [point.step for point in open_client(server.uri).get_metric_history(run_id, "train/loss")] == [1]
