"""Several trackers as one."""

from pathlib import Path

import pytest
from PIL import Image

from scaleout.tracking import CompositeTracker, JsonLinesTracker, RunStatus, Tracker
from scaleout.tracking.records import read_records


def test_everything_reaches_every_tracker(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    (tmp_path / "notes.txt").write_text("notes")
    tracker: Tracker = CompositeTracker([JsonLinesTracker(folder) for folder in folders])
    tracker.params({"scale": {"workers": 2}})
    tracker.tags({"corpus": "phantom"})
    tracker.metrics({"train/loss": 1.0}, step=1)
    tracker.picture("reconstruction", Image.new("L", (4, 4)), step=1)
    tracker.artifact(tmp_path / "notes.txt", "texts")
    tracker.finish(RunStatus.FINISHED)
    for folder in folders:
        assert [record["metrics"] for record in read_records(folder / "metrics.jsonl")] == [{"train/loss": 1.0}]
        assert (folder / "pictures/reconstruction/step-00000001.png").exists()
        assert (folder / "artifacts/texts/notes.txt").read_text() == "notes"
        assert '"FINISHED"' in (folder / "summary.json").read_text()


def test_a_tracker_that_fails_stops_neither_training_nor_its_neighbours(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    closed = JsonLinesTracker(tmp_path / "closed")
    closed.finish(RunStatus.KILLED)
    tracker = CompositeTracker([closed, JsonLinesTracker(tmp_path / "open")])
    tracker.metrics({"train/loss": 1.0}, step=1)
    assert len(read_records(tmp_path / "open" / "metrics.jsonl")) == 1
    assert "JsonLinesTracker failed" in caplog.text


def test_no_trackers_is_a_tracker() -> None:
    CompositeTracker().metrics({"train/loss": 1.0}, step=1)
