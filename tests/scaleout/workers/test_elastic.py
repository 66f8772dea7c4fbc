"""One run under one name by 4, then 2, then 4, then 1 workers: samples and curves are those of the unbroken run by one worker."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from torch import multiprocessing

from medvlp.optimisation import OptimiserConfig
from scaleout.runs.config import RunConfig
from scaleout.runs.record import checkpoint_store
from scaleout.tracking import start_run
from scaleout.tracking.jsonlines import METRICS_FILE
from scaleout.tracking.records import read_records
from scaleout.train.hooks.ledger import LEDGER_FOLDER
from scaleout.train.worker import WorkerSetup
from tests.scaleout.train.ledger import read_ledger
from tests.scaleout.train.tiny_run import tiny_config
from tests.scaleout.train.worker_processes import work
from tests.scaleout.workers.elastic_figure import draw, who_did_what

STEPS, MICRO_BATCHES, TOLERANCE = 24, 4, 1e-4
PARTS = [(4, 6), (2, 12), (4, 18), (1, STEPS)]
FIGURE_VARIABLE = "MEDVLP_ELASTIC_FIGURE"
"""Names the file of the picture in ``docs/images``; none is drawn without it."""


def run(config: RunConfig, folder: Path, parts: list[tuple[int, int]]) -> dict[int, dict[str, float]]:
    """What was tracked of a run by ``parts`` of (workers, step at which they stop), by step."""
    folder.mkdir()
    uri = f"sqlite:///{folder}/mlflow.db"
    config = replace(config, storage=str(folder))
    setup = WorkerSetup(
        config=config,
        tracking_uri=uri,
        mlflow_run=start_run(uri, config.tracking.experiment, config.name),
    )
    for workers, stop_at in parts:
        multiprocessing.spawn(work, (workers, setup, stop_at, str(folder)), nprocs=workers)
        _, record = checkpoint_store(config).newest()
        assert (record.step, record.position, record.workers) == (stop_at, stop_at * 32, workers)
    found: dict[int, dict[str, float]] = {}
    for line in read_records(folder / config.name / METRICS_FILE):
        found.setdefault(line["step"], {}).update({name: float(value) for name, value in line["metrics"].items()})
    return found


@pytest.mark.slow
def test_workers_come_and_go(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> None:
    settings = {"max_steps": STEPS, "global_batch": 8 * MICRO_BATCHES, "validate_every": 6, "checkpoint_every": 100, "ledger": True}
    # A large epsilon: Adam makes steps of full size of rounding errors where a gradient vanishes.
    optimiser = OptimiserConfig(learning_rate=1e-2, epsilon=1e-3)
    config = tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path, optimiser=optimiser, **settings)
    unbroken = run(config, tmp_path / "unbroken", [(1, STEPS)])
    elastic = run(config, tmp_path / "elastic", PARTS)

    ledger = tmp_path / "elastic" / config.name / LEDGER_FOLDER
    consumed = read_ledger(str(ledger))
    assert consumed == read_ledger(str(tmp_path / "unbroken" / config.name / LEDGER_FOLDER))
    assert sorted(consumed) == sorted(elastic) == sorted(unbroken) == list(range(1, STEPS + 1))
    if path := os.environ.get(FIGURE_VARIABLE):
        losses = [{step: values["train/loss"] for step, values in found.items()} for found in (unbroken, elastic)]
        samples = sum(len(keys) for micro_batches in consumed.values() for keys in micro_batches.values())
        same = f"the same {samples} sample keys, step by step, in both runs"
        draw(Path(path), *losses, who_did_what(ledger, STEPS, MICRO_BATCHES), PARTS, same)
    for step, expected in unbroken.items():
        assert elastic[step].keys() >= {name for name in expected if not name.startswith("perf/")}
        # Ranks and thresholds jump where two scores are as good as equal: losses, norms and learning rates do not.
        smooth = {name: value for name, value in expected.items() if name.endswith("loss") or name.startswith("train/")}
        assert {name: elastic[step][name] for name in smooth} == pytest.approx(smooth, rel=TOLERANCE), step
    assert unbroken[STEPS]["train/loss"] < unbroken[1]["train/loss"]
