"""Validation over all workers: their shares joined, and training left as it was."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medvlp.tasks.pretrain.evaluation import FindingRule, evaluate_pretraining, summarise_pretraining
from scaleout.engine.base import EngineConfig
from scaleout.engine.plain import TorchEngine
from scaleout.engine.process_group import ProcessGroup
from scaleout.train.evaluation import Validation
from tests.medvlp.tiny import NAMES, model_config, pretrain_batch, pretraining_task

RULE = FindingRule(np.arange(len(NAMES)), minimum_cases=1)


@pytest.fixture
def engine() -> TorchEngine:
    """An engine with dropout."""
    task = pretraining_task(model_config(dropout=0.3))
    optimiser = torch.optim.SGD([{"name": "heads", "params": list(task.parameters()), "lr": 0.1}])
    return TorchEngine(task, optimiser, EngineConfig(4, 1, 0.0, 0, False, lambda step: 1.0))


def validation(engine: TorchEngine, sizes: tuple[int, ...] = (6, 4), seed: int = 0) -> Validation:
    batches = [pretrain_batch(size, first=10 * index) for index, size in enumerate(sizes)]
    return Validation(
        batches=lambda: batches,
        evaluate=lambda batch: evaluate_pretraining(engine.task, batch),
        summarise=lambda records: summarise_pretraining(records, RULE) | {"rows": float(len(records["weight"]))},
        pictures=None,
        seed=seed,
    )


def test_every_batch_counts(engine: TorchEngine) -> None:
    metrics, pictures = validation(engine).run(engine, ProcessGroup())
    assert metrics["rows"] == 10
    assert pictures == {}


def test_nothing_is_dropped_out(engine: TorchEngine) -> None:
    metrics, _ = validation(engine).run(engine, ProcessGroup())
    without = pretraining_task(model_config(dropout=0.0))
    without.load_state_dict(engine.task.state_dict())
    engine.task = without
    assert validation(engine).run(engine, ProcessGroup())[0] == metrics


def test_it_is_the_same_every_time(engine: TorchEngine) -> None:
    first = validation(engine).run(engine, ProcessGroup())
    torch.rand(3)
    assert validation(engine).run(engine, ProcessGroup()) == first
    assert validation(engine, seed=1).run(engine, ProcessGroup())[0]["mim_loss"] != first[0]["mim_loss"]


def test_training_mode_comes_back(engine: TorchEngine) -> None:
    engine.task.train()
    validation(engine).run(engine, ProcessGroup())
    assert engine.task.training
    assert all(parameter.grad is None for parameter in engine.task.parameters())


def test_pictures_are_drawn_of_the_first_batch_only(engine: TorchEngine) -> None:
    drawn = []

    def pictures(batch) -> dict:
        drawn.append(batch.keys)
        return {}

    replace(validation(engine), pictures=pictures).run(engine, ProcessGroup())
    assert drawn == [tuple(f"{index:09d}" for index in range(6))]
