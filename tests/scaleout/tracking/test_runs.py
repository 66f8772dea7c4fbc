"""Runs as the driver handles them, against a real SQLite store."""

from pathlib import Path

import pytest

from medvlp.errors import ConfigurationError
from scaleout.tracking import RunStatus, close_children, resolve_tracking_uri, start_run
from scaleout.tracking.runs import open_client
from tests.faulty_proxy import FaultyProxy, Trouble


@pytest.fixture(autouse=True)
def no_configured_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own setting must not decide."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_the_default_store_is_a_file_in_the_storage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_tracking_uri(str(tmp_path)) == f"sqlite:///{tmp_path}/mlflow.db"
    assert resolve_tracking_uri(f"file://{tmp_path}") == f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.chdir(tmp_path)
    assert resolve_tracking_uri("results") == f"sqlite:///{tmp_path}/results/mlflow.db"


def test_what_is_configured_wins_over_the_environment_and_that_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:5000")
    assert resolve_tracking_uri("s3://bucket/runs") == "http://127.0.0.1:5000"
    assert resolve_tracking_uri("s3://bucket/runs", "http://127.0.0.1:6000") == "http://127.0.0.1:6000"


def test_a_bucket_needs_a_server() -> None:
    with pytest.raises(ConfigurationError, match="set MLFLOW_TRACKING_URI"):
        resolve_tracking_uri("s3://bucket/runs")


def test_a_relative_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="absolute"):
        resolve_tracking_uri("results", "sqlite:///mlflow.db")


def test_a_run_is_made_once_and_continued(empty_store: str) -> None:
    run_id = start_run(empty_store, "continued", "run", tags={"corpus": "phantom"})
    assert start_run(empty_store, "continued", "run", run_id=run_id) == run_id
    run = open_client(empty_store).get_run(run_id)
    assert run.info.run_name == "run"
    assert run.data.tags["corpus"] == "phantom"
    assert run.info.artifact_uri.startswith(Path(empty_store.removeprefix("sqlite:///")).with_name("mlartifacts").as_uri())


def test_a_run_of_another_store_is_refused(empty_store: str) -> None:
    with pytest.raises(ConfigurationError, match="has no run"):
        start_run(empty_store, "continued", "run", run_id="0" * 32)


def test_a_server_that_is_away_stops_a_new_run_but_not_a_continued_one() -> None:
    nobody = "http://user:secret@127.0.0.1:9"
    with pytest.raises(ConfigurationError, match=r"cannot start a run in MLflow at http://127\.0\.0\.1:9"):
        start_run(nobody, "away", "run")
    assert start_run(nobody, "away", "run", run_id="0" * 32) == "0" * 32


def test_open_children_are_closed_and_others_left_alone(empty_store: str) -> None:
    parent = start_run(empty_store, "sweep", "parent")
    open_children = {start_run(empty_store, "sweep", f"trial-{number}", parent_run_id=parent) for number in range(2)}
    done = start_run(empty_store, "sweep", "trial-2", parent_run_id=parent)
    client = open_client(empty_store)
    client.set_terminated(done)
    stranger = start_run(empty_store, "sweep", "stranger")
    assert set(close_children(empty_store, parent)) == open_children
    statuses = [client.get_run(run_id).info.status for run_id in (*open_children, done, parent, stranger)]
    assert statuses == ["KILLED", "KILLED", "FINISHED", "RUNNING", "RUNNING"]
    assert close_children(empty_store, parent, RunStatus.FAILED) == []


@pytest.mark.parametrize("status", [401, 403])
def test_refused_credentials_are_called_so(status: int, caplog: pytest.LogCaptureFixture) -> None:
    proxy = FaultyProxy("http://127.0.0.1:9")
    proxy.begin(Trouble("status", status=status))
    expected = f"MLflow at {proxy.uri} refuses the credentials: set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    with pytest.raises(ConfigurationError, match=f"cannot start a run: {expected}"):
        start_run(proxy.uri, "refused", "run")
    assert start_run(proxy.uri, "refused", "run", run_id="0" * 32) == "0" * 32
    assert expected in caplog.text
    proxy.close()


def test_a_password_in_the_address_is_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    nobody = "http://user:s3cr%40t@127.0.0.1:9"
    with pytest.raises(ConfigurationError) as caught:
        start_run(nobody, "away", "run")
    start_run(nobody, "away", "run", run_id="0" * 32)
    for text in (str(caught.value), caplog.messages[-1]):
        assert "127.0.0.1:9" in text
        assert "s3cr" not in text


def test_the_variable_adds_credentials_to_a_recorded_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@host:5000")
    assert resolve_tracking_uri("s3://bucket/runs", "http://host:5000") == "http://user:secret@host:5000"
    assert resolve_tracking_uri("s3://bucket/runs", "http://other:5000") == "http://other:5000"


def test_a_deleted_run_is_refused_until_it_is_restored(empty_store: str) -> None:
    run_id = start_run(empty_store, "deleted", "run")
    client = open_client(empty_store)
    client.delete_run(run_id)
    remedy = rf"deleted the run {run_id}: restore it .mlflow runs restore --run-id {run_id}; .* --tracking\.new_run true"
    with pytest.raises(ConfigurationError, match=remedy):
        start_run(empty_store, "deleted", "run", run_id=run_id)
    client.restore_run(run_id)
    assert start_run(empty_store, "deleted", "run", run_id=run_id, replaces_lost=True) == run_id


def test_a_lost_run_is_replaced_on_request(empty_store: str) -> None:
    replaced = start_run(empty_store, "replaced", "run", run_id="0" * 32, tags={"kind": "pretrain"}, replaces_lost=True)
    assert open_client(empty_store).get_run(replaced).data.tags["kind"] == "pretrain"


def test_a_deleted_experiment_is_named(empty_store: str) -> None:
    run_id = start_run(empty_store, "gone", "run")
    client = open_client(empty_store)
    experiment = client.get_run(run_id).info.experiment_id
    client.delete_experiment(experiment)
    with pytest.raises(ConfigurationError, match=f"experiments restore --experiment-id {experiment}"):
        start_run(empty_store, "gone", "run", run_id=run_id)
    remedy = r"has deleted the experiment 'gone': restore it .* or choose another --tracking\.experiment"
    with pytest.raises(ConfigurationError, match=remedy):
        start_run(empty_store, "gone", "other")
