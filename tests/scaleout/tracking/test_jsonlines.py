"""Local records: strict JSON, whole lines, no doubled points after a resume."""

import json
import math
from contextlib import suppress
from pathlib import Path

import matplotlib.figure
import pytest
from PIL import Image

from scaleout.tracking import JsonLinesTracker, RunStatus
from scaleout.tracking.records import decode_metrics, read_records
from tests.conftest import SmallDisk


def steps(folder: Path) -> list[int]:
    return [record["step"] for record in read_records(folder / "metrics.jsonl")]


def test_a_resumed_run_repeats_no_point(tmp_path: Path) -> None:
    first = JsonLinesTracker(tmp_path)
    for step in range(1, 6):
        first.metrics({"train/loss": 1 / step}, step)
    # Killed here; the checkpoint was made at step 3.
    second = JsonLinesTracker(tmp_path)
    for step in range(4, 8):
        second.metrics({"train/loss": 1 / step}, step)
    second.metrics({"val/mlm_loss": 2.0}, 5)
    second.finish(RunStatus.FINISHED)
    assert steps(tmp_path) == [1, 2, 3, 4, 5, 6, 7, 5]


def test_a_line_torn_by_a_crash_is_cut_off(tmp_path: Path) -> None:
    JsonLinesTracker(tmp_path).metrics({"train/loss": 1.0}, 1)
    with (tmp_path / "metrics.jsonl").open("ab") as file:
        file.write(b'{"step": 2, "metr')
    JsonLinesTracker(tmp_path).metrics({"train/loss": 0.5}, 2)
    assert steps(tmp_path) == [1, 2]


def test_numbers_that_are_not_finite_stay_strict_json(tmp_path: Path) -> None:
    JsonLinesTracker(tmp_path).metrics({"a": math.nan, "b": math.inf, "c": -math.inf, "d": 0.1}, 1)
    line = (tmp_path / "metrics.jsonl").read_text()

    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    values = decode_metrics(json.loads(line, parse_constant=refuse)["metrics"])
    assert math.isnan(values["a"])
    assert (values["b"], values["c"], values["d"]) == (math.inf, -math.inf, 0.1)


def test_pictures_may_be_images_or_figures_and_have_odd_names(tmp_path: Path) -> None:
    tracker = JsonLinesTracker(tmp_path)
    figure = matplotlib.figure.Figure(figsize=(1, 1))
    figure.subplots().plot([0, 1])
    tracker.picture("attention/brain: MR", figure, step=12)
    tracker.picture("../outside", Image.new("RGB", (3, 2)), step=12)
    found = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.png"))
    assert found == ["pictures/__/outside/step-00000012.png", "pictures/attention/brain__MR/step-00000012.png"]
    assert all(Image.open(tmp_path / path).format == "PNG" for path in found)


def test_the_summary_survives_reopening(tmp_path: Path) -> None:
    first = JsonLinesTracker(tmp_path)
    first.params({"train": {"max_steps": 10}})
    first.tags({"corpus": "phantom"})
    second = JsonLinesTracker(tmp_path)
    second.tags({"attempt": "2"})
    second.finish(RunStatus.FINISHED)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == {"params": {"train": {"max_steps": 10}}, "tags": {"corpus": "phantom", "attempt": "2"}, "status": "FINISHED"}


def test_a_disk_that_is_full_for_a_while_tears_no_line_and_loses_no_point(small_disk: SmallDisk) -> None:
    tracker = JsonLinesTracker(small_disk.folder)
    tracker.metrics({"train/loss": 1.0}, 1)
    small_disk.fill()
    step = 2
    with suppress(OSError):
        while True:  # as long as the last page of the file has room
            tracker.metrics({"train/loss": 1 / step}, step)
            step += 1
    with pytest.raises(OSError, match="No space left"):
        tracker.metrics({"train/loss": 0.5}, step + 1)
    assert steps(small_disk.folder) == list(range(1, step))
    small_disk.make_room()
    tracker.metrics({"train/loss": 0.5}, step + 2)
    tracker.finish(RunStatus.FINISHED)
    assert steps(small_disk.folder) == list(range(1, step + 3))
