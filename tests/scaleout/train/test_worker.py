"""What a worker does before its first step: cost, frozen parameters."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from medvlp.tasks.base import TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.config import ObjectiveWeights
from scaleout.engine.process_group import ProcessGroup
from scaleout.runs.config import RunConfig
from scaleout.runs.inputs import Inputs, open_tokenizer, task_context
from scaleout.train.worker import WorkerSetup, build_stream, prepare_module, run_worker
from tests.scaleout.train.tiny_run import TinyRun, tiny_config


@pytest.fixture
def config(phantom_shards: str, phantom_links: str, phantom_knowledge: Path, tmp_path: Path) -> RunConfig:
    """A run that could be started."""
    return tiny_config(phantom_shards, phantom_links, phantom_knowledge, tmp_path)


def build(config: RunConfig, seed: int = 0) -> tuple[TaskContext, TaskModule]:
    torch.manual_seed(seed)
    context = task_context(config, open_tokenizer(config.data), Inputs.open(config).bundle, {})
    return context, config.task.build(context)


def test_the_cost_is_that_of_the_step(config: RunConfig) -> None:
    context, module = build(config)
    cost = prepare_module(config, context, module, counts_flops=True)
    assert cost.parameters == sum(parameter.numel() for parameter in module.parameters())
    assert cost.frozen == 0
    assert cost.flops is not None
    width = config.data.maximum_tokens
    assert cost.flops.per_sample(width // 2) < cost.flops.per_sample(width)
    assert f"{cost.flops.per_sample(width) / 1e9:.2f} GFLOP a sample of full width, 96 samples" in cost.describe(config)
    assert "GFLOP" not in replace(cost, flops=None).describe(config)


def test_counting_costs_changes_nothing_else(config: RunConfig) -> None:
    context, module = build(config)
    before = {name: parameter.clone() for name, parameter in module.named_parameters()}
    torch.manual_seed(5)
    prepare_module(config, context, module, counts_flops=True).describe(config)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)
    assert all(torch.equal(parameter, before[name]) for name, parameter in module.named_parameters())
    assert all(parameter.grad is None for parameter in module.parameters())


def test_what_no_objective_reaches_is_frozen(config: RunConfig) -> None:
    weights = ObjectiveWeights(mlm=1, mim=0, itm=0, align=0)
    config = replace(config, task=replace(config.task, weights=weights))
    context, module = build(config)
    cost = prepare_module(config, context, module, counts_flops=False)
    assert cost.frozen > 0
    assert not module.arl.image_pooler.weight.requires_grad
    assert module.arl.fusion.layers[0].text_self_attention.query.weight.requires_grad


def test_rows_are_read_while_the_engine_starts(config: RunConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = threading.Event()

    class Enough(Exception):
        pass

    def tables(start: int) -> Iterator[pa.Table]:
        asked.set()
        return iter(())

    def build_engine(*_: object, **__: object) -> None:
        assert asked.wait(10)
        raise Enough

    monkeypatch.setattr("scaleout.train.worker.build_engine", build_engine)
    setup = WorkerSetup(config=config, tracking_uri="", mlflow_run="")
    with pytest.raises(Enough):
        run_worker(setup, tables, ProcessGroup())


def test_synthetic_data_are_not_read_and_can_be_trained_on(config: RunConfig) -> None:
    def tables() -> Iterator[pa.Table]:
        raise AssertionError("synthetic data were read")

    config = replace(config, data=replace(config.data, synthetic=True))
    context, _ = build(config)
    stream = build_stream(config, context, tables, 32, ProcessGroup(), decoders=1)
    assert stream.first == 4
    assert [micro.number for micro in islice(stream, 3)] == [4, 5, 6]
    assert {len(micro.batch) for micro in islice(stream, 3)} == {config.train.micro_batch}
    run = TinyRun(config)
    loop = replace(
        run.loop, stream=build_stream(config, context, tables, 0, ProcessGroup(), decoders=1), more_metrics=lambda: {"perf/more": 1.0}
    )
    loop.run(run.progress)
    metrics = run.metrics()
    assert run.progress.step == 6
    assert metrics[6]["train/loss"] < metrics[1]["train/loss"], "it is the same batch every time"
    assert all("perf/data_wait_seconds" in metrics[step] and metrics[step]["perf/more"] == 1.0 for step in metrics)
