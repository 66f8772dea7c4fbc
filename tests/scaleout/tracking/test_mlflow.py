"""The MLflow tracker against real stores, among them one that goes away and comes back."""

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from scaleout.tracking import MlflowTracker, RunStatus, deliver_anew, replay, start_run
from scaleout.tracking.runs import open_client
from scaleout.tracking.spool import Spool
from tests.scaleout.tracking.server import MlflowServer


def steps(uri: str, run_id: str, name: str = "train/loss") -> list[int]:
    return [point.step for point in open_client(uri).get_metric_history(run_id, name)]


def test_everything_arrives(empty_store: str, tmp_path: Path) -> None:
    run_id = start_run(empty_store, "everything", "run")
    (tmp_path / "notes.txt").write_text("notes")
    tracker = MlflowTracker(empty_store, run_id, tmp_path / "run")
    tracker.params({"scale": {"workers": 2, "zero_stage": 2}, "name": "x" * 10_000} | {f"p{number}": number for number in range(150)})
    tracker.tags({"corpus": "phantom"})
    for step in range(1, 1201):
        tracker.metrics({"train/loss": 1 / step, "train/lr": 1e-4}, step)
    tracker.metrics({"train/grad_norm": math.nan}, 1200)
    tracker.picture("reconstruction/chest", Image.new("RGB", (8, 8), "red"), 100)
    tracker.artifact(tmp_path / "notes.txt", "texts")
    tracker.finish(RunStatus.FINISHED)

    client = open_client(empty_store)
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["scale.zero_stage"] == "2"
    assert len(run.data.params["name"]) == 6000
    assert len(run.data.params) == 153
    assert run.data.tags["corpus"] == "phantom"
    assert math.isnan(run.data.metrics["train/grad_norm"])
    assert steps(empty_store, run_id) == list(range(1, 1201))
    assert [file.path for file in client.list_artifacts(run_id, "texts")] == ["texts/notes.txt"]
    pictures = [file.path for file in client.list_artifacts(run_id, "pictures/reconstruction/chest")]
    assert pictures == ["pictures/reconstruction/chest/step-00000100.png"]
    assert (tmp_path / "run" / pictures[0]).exists()
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1201


def test_a_resumed_run_doubles_no_point_and_keeps_its_parameters(empty_store: str, tmp_path: Path) -> None:
    run_id = start_run(empty_store, "resumed", "run")
    first = MlflowTracker(empty_store, run_id, tmp_path / "run")
    first.params({"workers": 2})
    for step in range(1, 6):
        first.metrics({"train/loss": 1 / step}, step)
    first.finish(RunStatus.FAILED)

    second = MlflowTracker(empty_store, run_id, tmp_path / "another machine")
    second.params({"workers": 4})
    for step in range(4, 8):
        second.metrics({"train/loss": 1 / step}, step)
    assert second.flush(30)
    run = open_client(empty_store).get_run(run_id)
    assert run.info.status == "RUNNING"
    assert (run.data.params["workers"], run.data.tags["resumed.workers"]) == ("2", "4")
    assert steps(empty_store, run_id) == list(range(1, 8))
    second.finish(RunStatus.FINISHED)


def test_a_record_that_mlflow_refuses_does_not_hold_up_the_rest(empty_store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_id = start_run(empty_store, "refused", "run")
    tracker = MlflowTracker(empty_store, run_id, tmp_path / "run")
    tracker.metrics({"train/loss": 1.0}, 1)
    tracker.metrics({"what is this?": 1.0}, 1)
    tracker.metrics({"train/loss": 0.5}, 2)
    tracker.finish(RunStatus.FINISHED)
    assert steps(empty_store, run_id) == [1, 2]
    assert "dropped" in caplog.text


def test_what_a_killed_process_had_not_sent_is_delivered(empty_store: str, tmp_path: Path) -> None:
    run_id = start_run(empty_store, "killed", "run")
    script = """
import os, sys
from pathlib import Path
from PIL import Image
from scaleout.tracking import MlflowTracker
tracker = MlflowTracker(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
tracker.metrics({"train/loss": 1.0}, 1)
assert tracker.flush(60)
tracker._delivery = None  # from here on nothing gets through
tracker.metrics({"train/loss": 0.5}, 2)
tracker.picture("reconstruction", Image.new("L", (4, 4)), 2)
os.kill(os.getpid(), 9)
"""
    folder = tmp_path / "run"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", script, empty_store, run_id, str(folder)], env=environment, check=False)
    assert killed.returncode == -9
    left = tmp_path / "left"
    shutil.copytree(folder, left)

    assert replay(empty_store, run_id, folder) == 2
    # A crash between delivery and acknowledgement leaves what was sent already.
    (folder / "events.sent").unlink()
    shutil.copy(left / "metrics.sent", folder / "metrics.sent")
    assert replay(empty_store, run_id, folder) == 2
    assert steps(empty_store, run_id) == [1, 2]
    assert len(open_client(empty_store).list_artifacts(run_id, "pictures/reconstruction")) == 1
    assert replay(empty_store, run_id, folder) == 0


def test_points_of_a_deleted_run_are_kept_and_sent_when_it_is_restored(
    empty_store: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = start_run(empty_store, "deleted meanwhile", "run")
    client = open_client(empty_store)
    tracker = MlflowTracker(empty_store, run_id, tmp_path / "run", interval=0.1, retry_interval=0.1, patience=0.1)
    tracker.metrics({"train/loss": 1.0}, 1)
    assert tracker.flush(30)
    client.delete_run(run_id)
    tracker.metrics({"train/loss": 0.5}, 2)
    tracker.tags({"a": "b"})
    assert not tracker.flush(1)
    tracker.finish(RunStatus.FINISHED)
    assert f"mlflow runs restore --run-id {run_id}" in caplog.text
    assert "dropped" not in caplog.text
    client.restore_run(run_id)
    assert replay(empty_store, run_id, tmp_path / "run") == 3
    assert steps(empty_store, run_id) == [1, 2]


def test_a_new_run_gets_everything_from_the_files(empty_store: str, tmp_path: Path) -> None:
    tracker = MlflowTracker(empty_store, start_run(empty_store, "again", "run"), tmp_path / "run")
    tracker.metrics({"train/loss": 1.0}, 1)
    tracker.finish(RunStatus.FINISHED)
    deliver_anew(tmp_path / "run")
    new = start_run(empty_store, "again", "run")
    replay(empty_store, new, tmp_path / "run")
    assert steps(empty_store, new) == [1]
    assert open_client(empty_store).get_run(new).info.status == "FINISHED"


@pytest.mark.slow
def test_an_outage_costs_nothing(mlflow_server: MlflowServer, tmp_path: Path) -> None:
    uri = mlflow_server.uri
    outlives, ends_within = (start_run(uri, "outage", name) for name in ("outlives", "ends within"))
    tracker = MlflowTracker(uri, outlives, tmp_path / "outlives", interval=0.2, retry_interval=0.5)
    for step in range(1, 6):
        tracker.metrics({"train/loss": 1 / step}, step)
    assert tracker.flush(30)

    mlflow_server.stop()
    start = time.monotonic()
    for step in range(6, 11):
        tracker.metrics({"train/loss": 1 / step}, step)
        tracker.picture("reconstruction", Image.new("L", (4, 4)), step)
    assert time.monotonic() - start < 1, "training waited for a server that is down"
    assert not tracker.flush(2)
    assert start_run(uri, "outage", "outlives", run_id=outlives) == outlives
    other = MlflowTracker(uri, ends_within, tmp_path / "ends", patience=0.5)
    other.metrics({"train/loss": 1.0}, 1)
    other.finish(RunStatus.FINISHED)

    mlflow_server.start()
    tracker.metrics({"train/loss": 0.0}, 11)
    assert tracker.flush(60)
    tracker.finish(RunStatus.FINISHED)
    assert replay(uri, ends_within, tmp_path / "ends") == 2
    client = open_client(uri)
    assert (steps(uri, outlives), steps(uri, ends_within)) == (list(range(1, 12)), [1])
    assert len(client.list_artifacts(outlives, "pictures/reconstruction")) == 5
    assert {client.get_run(run_id).info.status for run_id in (outlives, ends_within)} == {"FINISHED"}


def test_what_a_full_disk_swallowed_does_not_hide_what_comes_later(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1, "time": 0, "metrics": {}}\n')
    (tmp_path / "metrics.sent").write_text("3")  # two of them never reached the file
    spool = Spool(file)
    assert len(spool) == 0
    spool.put({"step": 4, "metrics": {}})
    assert [record["step"] for record in spool.first(5)] == [4]
    spool.acknowledge(1)
    assert (tmp_path / "metrics.sent").read_text() == "2"
