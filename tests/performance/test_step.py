"""The benchmark of the step on a tiny model: both schedules compute the same, and its figures have their names."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from medvlp.model.execution import ExecutionConfig
from medvlp.tasks.pretrain.module import PretrainingModule
from performance.step import Sizes, build, compare, largest_difference, one_by_one, run
from tests.conftest import REPOSITORY
from tests.medvlp.tiny import model_config, pretext_config, pretrain_batch, pretraining_module

CPU = torch.device("cpu")
TINY = Sizes(
    model=model_config(), pretext=pretext_config(), vocabulary=50, entities=30, edges=60, knowledge_width=8, tokens=12, entities_per_text=4
)


def gradients(task: PretrainingModule) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in task.named_parameters() if parameter.grad is not None}


@pytest.mark.parametrize("layer", [0, 1, 3])
def test_both_schedules_find_the_same_losses_and_gradients(layer: int) -> None:
    pretext = replace(TINY.pretext, masked_image=replace(TINY.pretext.masked_image, layer=layer))
    task, batch = build(replace(TINY, pretext=pretext), 4, CPU)
    theirs, expected = run(task, lambda batch: one_by_one(task, batch), batch, torch.float32), gradients(task)
    ours, found = run(task, task, batch, torch.float32), gradients(task)
    torch.testing.assert_close(ours.loss, theirs.loss)
    assert theirs.losses.keys() == ours.losses.keys()
    assert expected.keys() == found.keys()
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-4, atol=1e-6, msg=name)


def test_they_agree_on_collated_texts_too() -> None:
    # With padding, unused slots, hidden entities, and an image that could not be decoded.
    task, batch = pretraining_module(), pretrain_batch(6, broken=(2,))
    losses = [run(task, schedule, batch, torch.float32).losses for schedule in (task, lambda batch: one_by_one(task, batch))]
    assert largest_difference(*losses) <= 1e-5


def test_figures() -> None:
    figures = compare(TINY, batch=2, repeats=2, device=CPU, dtype=torch.float32)
    assert figures["ratio"] == figures["one_by_one_seconds"] / figures["step_seconds"]
    assert min(figures["one_by_one_wall_seconds"], figures["step_wall_seconds"]) > 0
    assert figures["losses"].keys() == {"mlm", "mim", "itm", "align"}
    assert figures["largest_loss_difference"] <= 1e-5
    assert figures["step_gflop_per_sample"] > 0
    assert {"cpu", "cores", "gpu", "torch"} < figures["machine"].keys()
    assert json.loads(json.dumps(figures)) == figures


def test_blocks_may_run_otherwise() -> None:
    figures = compare(TINY, batch=2, repeats=1, device=CPU, dtype=torch.float32, execution=ExecutionConfig(activation_checkpointing=True))
    assert figures["execution"] == {"activation_checkpointing": True, "compile": False}
    assert figures["largest_loss_difference"] <= 1e-5


def test_in_bfloat16_losses_are_compared_in_float32() -> None:
    figures = compare(TINY, batch=2, repeats=1, device=CPU, dtype=torch.bfloat16)
    assert figures["dtype"] == "bfloat16"
    assert figures["largest_loss_difference"] <= 1e-5


@pytest.mark.parametrize("other", [1.001, float("nan")])
def test_there_is_no_ratio_of_different_work(other: float) -> None:
    with pytest.raises(SystemExit, match="no ratio"):
        largest_difference({"mlm": torch.tensor(1.0)}, {"mlm": torch.tensor(other)})


@pytest.mark.parametrize(("option", "message"), [("--config=large", "small"), ("--treads=2", "treads")])
def test_wrong_options_are_refused(option: str, message: str) -> None:
    command = [sys.executable, str(Path("performance", "step.py")), option]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert message in result.stderr
