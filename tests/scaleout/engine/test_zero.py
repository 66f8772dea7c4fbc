"""ZeRO 0 to 3 on two workers is plain torch on all their micro-batches: gradients, weights, learning rates, validation;
so it is with recomputed activations and with compiled blocks.

Tolerances, in float32: gradients to 1e-5 and weights to 1e-6 of their norm, sums over two workers come in another order.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, multiprocessing

from medvlp.tasks.pretrain.evaluation import evaluate_pretraining
from medvlp.tasks.pretrain.module import PretrainingModule
from tests.scaleout.engine.torch_engine import TorchEngine
from tests.scaleout.engine.zero_workers import (
    ACCUMULATION,
    FROZEN,
    STAGES,
    STEPS,
    VALIDATED,
    WORKERS,
    engine_config,
    main,
    main_compiled,
    make_optimiser,
    make_shallow_task,
    make_task,
    micro_batch,
)

GRADIENT_TOLERANCE, WEIGHT_TOLERANCE = 1e-5, 1e-6
MICRO_BATCHES = ACCUMULATION * WORKERS

Seen = list[dict[Any, Any]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What each of the two workers wrote down. The first ever start compiles an extension of DeepSpeed: half a minute."""
    return run_workers(main, tmp_path_factory.mktemp("zero"))


@pytest.fixture(scope="module")
def plain() -> dict[str, Any]:
    """The same steps in plain torch."""
    return run_plain()


def run_workers(work: Callable[..., None], folder: Path, *arguments: Any) -> Seen:
    """What each worker wrote down."""
    multiprocessing.spawn(work, (str(folder), *arguments), nprocs=WORKERS)
    return [torch.load(folder / f"seen-{rank}.pt", weights_only=False) for rank in range(WORKERS)]


def run_plain(task: PretrainingModule | None = None) -> dict[str, Any]:
    """One process for all micro-batches."""
    task = task or make_task()
    optimiser = make_optimiser(task)
    engine = TorchEngine(task, optimiser, engine_config(0, MICRO_BATCHES))
    found: dict[str, Any] = {"losses": [], "norms": [], "rates": [engine.learning_rates()], "weights": []}
    for step in range(STEPS):
        for turn in range(MICRO_BATCHES):
            output = engine.forward(micro_batch(step * MICRO_BATCHES + turn))
            engine.backward(output.loss)
            found["losses"].append(output.loss.item())
            if step == 0 and turn == MICRO_BATCHES - 1:
                found["gradients"] = {name: p.grad.clone() for name, p in task.named_parameters() if p.grad is not None}
            norm = engine.step()
        found["norms"].append(norm)
        found["weights"].append(engine.weights())
        found["rates"].append(engine.learning_rates())
        if step == 1:
            task.eval()
            found["records"] = evaluate_pretraining(task, micro_batch(VALIDATED))
            task.train()
    return found


def is_key_bias(name: str) -> bool:
    """Its gradient is zero: it shifts all logits of a query alike."""
    return name.endswith((".key.bias", "k_proj.bias"))


def differences(found: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, float]:
    """Relative difference of every tensor."""
    assert found.keys() == expected.keys()
    return {name: float((found[name] - value).norm() / value.norm()) for name, value in expected.items() if not is_key_bias(name)}


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], tolerance: float) -> None:
    apart = {name: difference for name, difference in differences(found, expected).items() if not difference <= tolerance}
    assert apart == {}


def assert_same_steps(workers: list[dict[str, Any]], plain: dict[str, Any]) -> None:
    """Gradients of the first step, losses and norms of two."""
    for worker in workers:
        assert_close(worker["gradients"], plain["gradients"], GRADIENT_TOLERANCE)
        assert worker["norms"] == pytest.approx(plain["norms"][:2], rel=1e-5)
    losses = [worker["losses"][step][turn] for step in range(2) for turn in range(ACCUMULATION) for worker in workers]
    assert losses == pytest.approx(plain["losses"][: len(losses)], rel=1e-5)


def test_the_reference_is_the_mean_over_micro_batches(plain: dict[str, Any]) -> None:
    task = make_task()
    for number in range(MICRO_BATCHES):
        (task(micro_batch(number)).loss / MICRO_BATCHES).backward()
    assert_close({name: p.grad for name, p in task.named_parameters() if p.grad is not None}, plain["gradients"], GRADIENT_TOLERANCE)


@pytest.mark.parametrize("stage", STAGES)
def test_gradients_are_plain_torchs(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    heads = {name.split(".")[0] for name in plain["gradients"]}
    assert heads == {"arl", "masked_language", "masked_image", "matching", "image_alignment", "text_alignment"}
    assert not plain["gradients"].keys() & set(FROZEN)
    for worker in seen:
        assert_close(worker[stage]["gradients"], plain["gradients"], GRADIENT_TOLERANCE)


@pytest.mark.parametrize("stage", STAGES)
def test_recomputed_activations_change_nothing(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    assert_same_steps([worker["recomputed"][stage] for worker in seen], plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "name", "stages"),
    [
        ("aot_eager", "compiled", (1, 2, 3)),
        ("aot_eager", "compiled and recomputed", (1, 2, 3)),
        pytest.param("inductor", "compiled and recomputed", (2,), marks=pytest.mark.verify),  # minutes of C++ compilers
    ],
)
def test_compiled_blocks_are_plain_torch(tmp_path: Path, backend: str, name: str, stages: Sequence[int]) -> None:
    seen, plain = run_workers(main_compiled, tmp_path, backend, name, stages), run_plain(make_shallow_task())
    for stage in stages:
        assert_same_steps([worker[stage] for worker in seen], plain)


@pytest.mark.parametrize("stage", STAGES)
def test_key_biases_have_no_gradient(seen: Seen, stage: int) -> None:
    gradients = seen[0][stage]["gradients"]
    biases = {name: float(gradient.abs().max()) for name, gradient in gradients.items() if is_key_bias(name)}
    assert len(biases) > 10
    assert max(biases.values()) < 1e-6


@pytest.mark.parametrize("stage", STAGES)
def test_losses_and_norms_are_plain_torchs(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    losses = [[seen[rank][stage]["losses"][step][turn] for turn in range(ACCUMULATION) for rank in range(WORKERS)] for step in range(STEPS)]
    assert np.concatenate(losses) == pytest.approx(plain["losses"], rel=1e-5)
    for worker in seen:
        assert worker[stage]["norms"] == pytest.approx(plain["norms"], rel=1e-5)
    # So that clipping took part.
    assert min(plain["norms"]) > 0.5


@pytest.mark.parametrize("stage", STAGES)
def test_weights_are_gathered_whole_and_are_plain_torchs(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    for worker in seen:
        assert_close(worker[stage]["weights"], plain["weights"][1], WEIGHT_TOLERANCE)
        assert_close(worker[stage]["last_weights"], plain["weights"][2], WEIGHT_TOLERANCE)
    assert {value.dtype for value in seen[0][stage]["weights"].values()} == {torch.float32}


@pytest.mark.parametrize("stage", STAGES)
def test_learning_rates_follow_the_schedule(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    first, third = seen[0][stage]["rates"]
    assert first == pytest.approx(plain["rates"][0])
    assert third == pytest.approx(plain["rates"][2])
    assert third["encoders"] < first["encoders"]
    assert first["heads"] == 5 * first["encoders"]


@pytest.mark.parametrize("stage", STAGES)
def test_validation_is_plain_torchs(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    records = seen[0][stage]["records"]
    assert records.keys() == plain["records"].keys()
    for name, values in plain["records"].items():
        if np.issubdtype(values.dtype, np.floating):
            assert np.allclose(records[name], values, atol=1e-4), name
        else:
            assert np.array_equal(records[name], values), name


@pytest.mark.parametrize("stage", STAGES)
def test_a_saved_run_goes_on_as_if_it_had_not_stopped(seen: Seen, stage: int) -> None:
    for worker in seen:
        run = worker[stage]
        assert_close(run["resumed_weights"], run["weights"], 0.0)
        assert run["resumed_rates"] == run["rates"][1]
        assert run["resumed_losses"] == run["losses"][2]
        assert run["resumed_norm"] == run["norms"][2]
        assert_close(run["resumed_last_weights"], run["last_weights"], 0.0)


@pytest.mark.parametrize("stage", STAGES)
def test_a_gradient_that_overflows_on_one_worker_changes_nothing_on_all(seen: Seen, stage: int) -> None:
    assert not any(math.isfinite(worker[stage]["infinite_norm"]) for worker in seen)
    for worker in seen:
        assert_close(worker[stage]["weights_after_infinity"], worker[stage]["resumed_last_weights"], 0.0)
        # The schedule ends at its third step.
        assert set(worker[stage]["rates_after_infinity"].values()) == {0.0}


@pytest.mark.parametrize("stage", STAGES)
def test_half_precision_has_the_norm_too(seen: Seen, plain: dict[str, Any], stage: int) -> None:
    for worker in seen:
        assert worker["bf16_norms"][stage] == pytest.approx(plain["norms"][0], rel=0.1)


def test_workers_know_each_other(seen: Seen) -> None:
    for worker in seen:
        assert worker["gathered"] == [{"rank": 0}, {"rank": 1}]
    assert [worker["is_first"] for worker in seen] == [True, False]
