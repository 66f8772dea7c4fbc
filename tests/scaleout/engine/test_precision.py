"""A run in bf16 on CPU workers, with ZeRO 0 to 3: trained, saved, resumed, resharded, and its weights taken out.

Parameters are bf16; what the optimiser steps and keeps, and what is saved, is fp32. Bounds are relative, with what was measured:

- losses of four steps against fp32's: 5e-3 (2.0e-3), norms 5e-2 (2.2e-2);
- losses against the unbroken run's by another number of workers, which add up bf16 gradients in another order: 2e-3 (5.1e-4),
  norms 2e-2 (4.5e-3), weights 1e-2 of their norm (2.5e-3, where a weight moves by up to 0.3 of it).
"""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, multiprocessing

from medvlp.model.weights import load_weights
from scaleout.checkpoint.read import read_weights, verified_copy
from scaleout.checkpoint.record import ENGINE_FOLDER
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.layout import Layout
from tests.scaleout.engine.precision_workers import BY_THREE, FP32, MICRO_BATCHES, SAVED, SOME_STAGES, UNBROKEN, work
from tests.scaleout.engine.test_zero import assert_close
from tests.scaleout.engine.zero_workers import FROZEN, STAGES, make_task, micro_batch

AGAINST_FP32, NORMS_AGAINST_FP32 = 5e-3, 5e-2
RESHARDED, RESHARDED_NORMS, RESHARDED_WEIGHTS = 2e-3, 2e-2, 1e-2
CHANGES = [*((2, 1, stage) for stage in STAGES), *((1, 2, stage) for stage in STAGES), *((2, 3, stage) for stage in SOME_STAGES[BY_THREE])]
"""Workers before, workers after, and stage."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # on a busy machine


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """What the workers saved and wrote down, by how many began the run."""
    found = {workers: tmp_path_factory.mktemp(f"begun-by-{workers}") for workers in (2, 1)}
    two, one = str(found[2]), str(found[1])
    for workers, parts in [
        (2, [(UNBROKEN, two), (FP32, two), ("by-2", two)]),
        (1, [("by-1", two), (UNBROKEN, one)]),
        (2, [("by-2", one)]),
        (3, [(BY_THREE, two)]),
    ]:
        multiprocessing.spawn(work, (workers, parts), nprocs=workers)
    return found


def read(folder: Path, name: str, stage: int) -> dict[str, Any]:
    return torch.load(folder / f"{name}.pt", weights_only=False)[stage]


def checkpoint(folder: Path, stage: int) -> tuple[str, Any]:
    newest = CheckpointStore(f"{folder}/stage-{stage}", keep=1).newest()
    assert newest is not None
    return newest


def is_rounded(weight: Tensor) -> bool:
    """Whether bf16 holds all of it."""
    return torch.equal(weight, weight.bfloat16().float())


@pytest.mark.parametrize("stage", STAGES)
def test_losses_are_those_of_fp32_but_for_rounding(folders: dict[int, Path], stage: int) -> None:
    run, fp32 = read(folders[2], UNBROKEN, stage), read(folders[2], FP32, 0)
    losses, norms = run["first"]["losses"] + run["losses"], run["first"]["norms"] + run["norms"]
    assert losses != fp32["losses"]
    assert losses == pytest.approx(fp32["losses"], rel=AGAINST_FP32)
    assert norms == pytest.approx(fp32["norms"], rel=NORMS_AGAINST_FP32)


@pytest.mark.parametrize("name", [UNBROKEN, "by-1", "by-2"])
@pytest.mark.parametrize("stage", STAGES)
def test_the_task_is_bf16_and_the_optimiser_fp32(folders: dict[int, Path], name: str, stage: int) -> None:
    expected = {"parameters": {torch.bfloat16}, "masters": {torch.float32}, "moments": {torch.float32}}
    assert read(folders[2], name, stage)["dtypes"] == expected


@pytest.mark.parametrize("stage", STAGES)
def test_a_checkpoint_keeps_fp32_weights_and_state(folders: dict[int, Path], stage: int) -> None:
    uri, record = checkpoint(folders[2], stage)
    assert record.layout == Layout(stage, "bf16")
    weights = read_weights(uri)
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    # What is not trained stays as bf16 began it; the biases of keys have as good as no gradient.
    assert {name for name, weight in weights.items() if is_rounded(weight) and not name.endswith("key.bias")} == set(FROZEN)
    with verified_copy(uri, record) as local:
        found = [pair for file in (local / ENGINE_FOLDER).rglob("*.pt") for pair in dtypes(torch.load(file, weights_only=False))]
    assert {dtype for name, dtype in found if "optimizer" in name} == {torch.float32}
    assert {dtype for name, dtype in found if name.startswith("/module")} == {torch.bfloat16}


def dtypes(content: Any, name: str = "") -> Iterator[tuple[str, torch.dtype]]:
    """Names and types of all tensors of real numbers in a file."""
    if isinstance(content, Tensor) and content.is_floating_point():
        yield name, content.dtype
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from dtypes(value, f"{name}/{key}")
    elif isinstance(content, list | tuple):
        for value in content:
            yield from dtypes(value, name)


@pytest.mark.parametrize("stage", STAGES)
def test_a_resumed_run_is_the_unbroken_one_to_the_last_bit(folders: dict[int, Path], stage: int) -> None:
    unbroken, resumed = read(folders[2], UNBROKEN, stage), read(folders[2], "by-2", stage)
    for name in ("weights", "last_weights"):
        assert_close(resumed[name], unbroken[name], 0.0)
    assert [resumed[name] for name in ("rates", "losses", "norms")] == [unbroken[name] for name in ("rates", "losses", "norms")]


@pytest.mark.parametrize(("before", "after", "stage"), CHANGES)
def test_another_number_of_workers_goes_on(folders: dict[int, Path], before: int, after: int, stage: int) -> None:
    unbroken, resumed = read(folders[before], UNBROKEN, stage), read(folders[before], f"by-{after}", stage)
    assert_close(resumed["weights"], unbroken["weights"], 0.0)
    assert (resumed["rates"], resumed["dtypes"]) == (unbroken["rates"], unbroken["dtypes"])
    assert resumed["losses"] == pytest.approx(unbroken["losses"], rel=RESHARDED)
    assert resumed["norms"] == pytest.approx(unbroken["norms"], rel=RESHARDED_NORMS)
    assert_close(resumed["last_weights"], unbroken["last_weights"], RESHARDED_WEIGHTS)


@pytest.mark.parametrize("stage", STAGES)
def test_an_overflow_changes_no_weight(folders: dict[int, Path], stage: int) -> None:
    run = read(folders[2], "by-2", stage)
    assert not math.isfinite(run["overflow"])
    assert_close(run["after_overflow"], run["last_weights"], 0.0)


@pytest.mark.parametrize("stage", STAGES)
def test_the_weights_are_the_model_in_fp32_too(folders: dict[int, Path], stage: int) -> None:
    task, run = make_task(seed=1), read(folders[2], UNBROKEN, stage)
    load_weights(task, read_weights(checkpoint(folders[2], stage)[0]), "the checkpoint")
    losses = [task(micro_batch(SAVED * MICRO_BATCHES + number)).loss.item() for number in range(MICRO_BATCHES)]
    assert losses == pytest.approx(run["losses"][:MICRO_BATCHES], rel=AGAINST_FP32)
