"""Torch's engine: accumulation, clipping, schedule, and a state that is loaded whole."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from medvlp.errors import CheckpointError
from scaleout.engine.base import EngineConfig
from tests.scaleout.engine.torch_engine import TorchEngine


def engine(accumulation: int = 1, clip_norm: float = 0.0) -> TorchEngine:
    """One weight of 1 that learns by plain descent; the rate halves with every step."""
    task = nn.Linear(1, 1, bias=False)
    nn.init.ones_(task.weight)
    optimiser = torch.optim.SGD([{"name": "heads", "params": list(task.parameters()), "lr": 0.1}])
    return TorchEngine(task, optimiser, EngineConfig(1, accumulation, clip_norm, 0, False, lambda step: 0.5**step))


def push(engine: TorchEngine, *slopes: float) -> list[float | None]:
    """One micro-batch per slope, whose loss has that gradient."""
    norms = []
    for slope in slopes:
        engine.backward((engine.task.weight * slope).sum())
        norms.append(engine.step())
    return norms


def weight(engine: TorchEngine) -> float:
    return engine.weights()["weight"].item()


def test_the_mean_over_the_micro_batches_counts() -> None:
    trained = engine(accumulation=2)
    assert push(trained, 1.0) == [None]
    assert weight(trained) == 1.0
    assert push(trained, 3.0) == [2.0]
    assert weight(trained) == pytest.approx(1 - 0.1 * 2)


def test_gradients_do_not_outlive_their_step() -> None:
    trained = engine()
    push(trained, 5.0)
    assert push(trained, 1.0) == [1.0]


def test_clipping_shortens_the_step_and_tells_the_norm_before() -> None:
    trained = engine(clip_norm=0.5)
    assert push(trained, -4.0) == [4.0]
    assert weight(trained) == pytest.approx(1 + 0.1 * 0.5, rel=1e-4)
    unclipped = engine(clip_norm=0.0)
    push(unclipped, -4.0)
    assert weight(unclipped) == pytest.approx(1 + 0.1 * 4)


def test_the_schedule_follows_optimiser_steps() -> None:
    trained = engine(accumulation=2)
    assert trained.learning_rates() == {"heads": 0.1}
    push(trained, 0.0)
    assert trained.learning_rates() == {"heads": 0.1}
    push(trained, 0.0)
    assert trained.learning_rates() == {"heads": 0.05}


def test_a_loaded_engine_goes_on(tmp_path: Path) -> None:
    trained, other = engine(), engine()
    push(trained, 1.0, 2.0)
    push(other, 9.0)
    trained.save(tmp_path / "new")
    other.load(tmp_path / "new")
    assert (weight(other), other.learning_rates()) == (weight(trained), trained.learning_rates())
    push(trained, 1.0), push(other, 1.0)
    assert (weight(other), other.learning_rates()) == (weight(trained), trained.learning_rates())


def test_no_state_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no training state"):
        engine().load(tmp_path)


def test_weights_are_copies() -> None:
    trained = engine()
    before = trained.weights()["weight"]
    push(trained, 1.0)
    assert before.item() == 1.0


@pytest.mark.parametrize("slope", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_changes_no_weight_and_the_schedule_goes_on(slope: float) -> None:
    trained = engine(clip_norm=0.5)
    (norm,) = push(trained, slope)
    assert norm is not None
    assert not math.isfinite(norm)
    assert (weight(trained), trained.learning_rates()) == (1.0, {"heads": 0.05})
    assert push(trained, 0.5) == [0.5]
    assert weight(trained) == pytest.approx(1 - 0.05 * 0.5)


def test_a_state_of_a_shorter_run_follows_the_longer_schedule(tmp_path: Path) -> None:
    def of_run(steps: int) -> TorchEngine:
        task = nn.Linear(1, 1, bias=False)
        optimiser = torch.optim.SGD([{"name": "heads", "params": list(task.parameters()), "lr": 1.0}])
        return TorchEngine(task, optimiser, EngineConfig(1, 1, 0.0, 0, False, lambda step: 1 - step / steps))

    short = of_run(2)
    push(short, 1.0, 1.0)
    assert short.learning_rates() == {"heads": 0.0}
    short.save(tmp_path)
    longer = of_run(4)
    longer.load(tmp_path)
    assert longer.learning_rates() == {"heads": 0.5}
    push(longer, 1.0)
    assert longer.learning_rates() == {"heads": 0.25}
