"""Validation over all workers: their shares joined, and training left as it was."""

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from medvlp.metrics.records import Records
from medvlp.tasks.base import TaskContext
from medvlp.tasks.pretrain.task import Pretraining
from scaleout.engine.base import EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.stream.batches import MicroBatch
from scaleout.stream.local import NO_KEY
from scaleout.train.evaluation import Evaluator
from tests.medvlp.tiny import IMAGE, TEXT, bundle, model_config, pretext_config, pretrain_batch, pretraining_module, tokenizer
from tests.scaleout.engine.torch_engine import TorchEngine

CONTEXT = TaskContext(model=model_config(), image=IMAGE, text=TEXT, tokenizer=tokenizer(), bundle=bundle())


@dataclass(frozen=True, kw_only=True)
class Counted(Pretraining):
    """Pre-training that counts what it evaluates, and what it draws."""

    drawn: list[tuple[str, ...]] = field(default_factory=list)

    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        return super().summarise(context, records) | {"rows": float(len(records["weight"]))}

    def pictures(self, context: TaskContext, module: Any, batch: Any) -> dict[str, Figure]:
        self.drawn.append(batch.keys)
        return {}


@pytest.fixture
def engine() -> TorchEngine:
    """An engine with dropout."""
    task = pretraining_module(model_config(dropout=0.3))
    optimiser = torch.optim.SGD([{"name": "heads", "params": list(task.parameters()), "lr": 0.1}])
    return TorchEngine(task, optimiser, EngineConfig(4, 1, 0.0, 0, False, lambda step: 1.0))


def validation(sizes: tuple[int, ...] = (6, 4), seed: int = 0, **changes: Any) -> Evaluator:
    batches = [MicroBatch(index, pretrain_batch(size, first=10 * index)) for index, size in enumerate(sizes)]
    return Evaluator(task=Counted(masked_image=pretext_config().masked_image), context=CONTEXT, batches=batches, seed=seed, **changes)


def test_every_batch_counts(engine: TorchEngine) -> None:
    metrics, pictures = validation().run(engine, ProcessGroup())
    assert metrics["rows"] == 10
    assert pictures == {}


def test_nothing_is_dropped_out(engine: TorchEngine) -> None:
    metrics, _ = validation().run(engine, ProcessGroup())
    without = pretraining_module(model_config(dropout=0.0))
    without.load_state_dict(engine.task.state_dict())
    engine.task = without
    assert validation().run(engine, ProcessGroup())[0] == metrics


def test_it_is_the_same_every_time(engine: TorchEngine) -> None:
    first = validation().run(engine, ProcessGroup())
    torch.rand(3)
    assert validation().run(engine, ProcessGroup()) == first
    assert validation(seed=1).run(engine, ProcessGroup())[0]["mim_loss"] != first[0]["mim_loss"]


def test_training_mode_comes_back(engine: TorchEngine) -> None:
    engine.task.train()
    validation().run(engine, ProcessGroup())
    assert engine.task.training
    assert all(parameter.grad is None for parameter in engine.task.parameters())


def test_pictures_are_drawn_of_the_first_batch_only(engine: TorchEngine) -> None:
    drawing = validation(draws_pictures=True)
    drawing.run(engine, ProcessGroup())
    assert drawing.task.drawn == [tuple(f"{index:09d}" for index in range(6))]
    quiet = validation()
    quiet.run(engine, ProcessGroup())
    assert quiet.task.drawn == []


def test_rows_that_fill_up_are_no_samples(engine: TorchEngine) -> None:
    evaluator = validation(sizes=(6,))
    batch = evaluator.batches[0].batch
    keys = (*batch.keys[:4], NO_KEY, NO_KEY)
    filled = replace(evaluator, batches=[MicroBatch(0, replace(batch, keys=keys))])
    records, _ = filled.evaluate(engine.task, engine.device)
    assert records["key"].tolist() == list(batch.keys[:4])
    assert {len(values) for values in records.values()} == {4}
