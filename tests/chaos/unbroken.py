"""What a run left behind, and the proof that a broken one left the same as an unbroken one."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from mlflow import MlflowClient
from torch import Tensor

from scaleout.checkpoint.read import read_weights
from scaleout.checkpoint.store import CheckpointStore
from scaleout.io import storage
from scaleout.runs.record import CHECKPOINTS_FOLDER
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import decode_metrics, read_records
from scaleout.train.hooks.ledger import LEDGER_FOLDER, Step
from tests.scaleout.train.ledger import read_ledger

Point = tuple[str, int]
"""Name of a metric, and step."""


@dataclass(frozen=True)
class Left:
    """What counts of a run when it is over."""

    step: int
    """Of the newest checkpoint."""
    ledger: dict[int, Step]
    weights: dict[str, Tensor]
    points: list[tuple[Point, float]]
    """All points of all curves but those of the clock, in the order in which they were written."""


def left_by(run: str, curves: Path | None = None) -> Left:
    """What the run in the folder ``run`` left, with ``train.ledger``; ``curves`` is where its metrics.jsonl lies, if not there."""
    newest = CheckpointStore(storage.join(run, CHECKPOINTS_FOLDER), keep=2).newest()
    assert newest is not None, f"{run} has no complete checkpoint"
    records = read_records((curves or Path(run)) / METRICS_FILE)
    points = [((name, line["step"]), value) for line in records for name, value in decode_metrics(line["metrics"]).items()]
    return Left(
        step=newest[1].step,
        ledger=read_ledger(storage.join(run, LEDGER_FOLDER)),
        weights=read_weights(newest[0]),
        points=[(point, value) for point, value in points if _is_learned(point[0])],
    )


def assert_as_unbroken(broken: Left, unbroken: Left) -> None:
    """It saw the same samples, step by step, and learned the same to the last bit; its curves have no gap and no point twice."""
    assert broken.step == unbroken.step
    assert list(unbroken.ledger) == list(range(1, unbroken.step + 1)), "the unbroken run proves nothing"
    assert broken.ledger == unbroken.ledger
    assert broken.weights.keys() == unbroken.weights.keys()
    different = [name for name, value in broken.weights.items() if not torch.equal(value, unbroken.weights[name])]
    assert not different, "these weights differ"
    twice = [point for point, count in Counter(point for point, _ in broken.points).items() if count > 1]
    assert not twice, "these points are there twice"
    assert dict(broken.points) == dict(unbroken.points)


def assert_mlflow_as_unbroken(client: MlflowClient, run_id: str, unbroken: Left) -> None:
    """Every curve in MLflow has the points of the unbroken run, each once."""
    expected: dict[str, list[tuple[int, float]]] = {}
    for (name, step), value in unbroken.points:
        expected.setdefault(name, []).append((step, value))
    found = {name for name in client.get_run(run_id).data.metrics if _is_learned(name)}
    assert found == expected.keys()
    for name, points in expected.items():
        assert [(point.step, point.value) for point in client.get_metric_history(run_id, name)] == points, name


def _is_learned(name: str) -> bool:
    """Whether a metric is a function of the run alone: speed and memory are not."""
    return not name.startswith("perf/")
