"""The paper's optimiser: who learns how fast, and when."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvlp.optimisation import OptimiserConfig, build_optimiser, freeze_unreached, learning_rate_factor, parameter_groups
from tests.medvlp.tiny import pretrain_batch, pretraining_module

CONFIG = OptimiserConfig(learning_rate=0.1, fusion_multiplier=2.0, head_multiplier=3.0)


def test_every_trained_parameter_is_in_one_group() -> None:
    task = pretraining_module()
    frozen = task.arl.vision.embeddings.class_embedding.requires_grad_(False)
    groups = parameter_groups(task, task.arl, CONFIG, knowledge_multiplier=4.0)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(grouped) == len(set(grouped))
    assert set(grouped) == {id(parameter) for parameter in task.parameters()} - {id(frozen)}


@pytest.mark.parametrize(
    ("name", "role", "rate"),
    [
        ("arl.vision.embeddings.patch_embedding.weight", "encoders", 0.1),
        ("arl.language.encoder.embeddings.word_embeddings.weight", "encoders", 0.1),
        ("arl.stream_type.weight", "encoders", 0.1),
        ("arl.knowledge.embedding.weight", "knowledge", 0.4),
        ("arl.fusion.layers.0.knowledge.knowledge_to_text.weight", "fusion", 0.2),
        ("arl.image_projection.weight", "fusion", 0.2),
        ("arl.text_pooler.weight", "fusion", 0.2),
        ("masked_language.output.weight", "heads", 0.3),
        ("text_alignment.hidden.weight", "heads", 0.3),
        ("matching.weight", "heads", 0.3),
    ],
)
def test_roles_learn_at_the_papers_rates(name: str, role: str, rate: float) -> None:
    task = pretraining_module()
    groups = parameter_groups(task, task.arl, CONFIG, knowledge_multiplier=4.0)
    parameter = task.get_parameter(name)
    group = next(group for group in groups if any(parameter is member for member in group["params"]))
    assert (group["name"], group["lr"], group["weight_decay"]) == (role, pytest.approx(rate), 0.01)


def test_biases_and_norms_do_not_decay() -> None:
    task = pretraining_module()
    names = {id(parameter): name for name, parameter in task.named_parameters()}
    groups = parameter_groups(task, task.arl, CONFIG, knowledge_multiplier=1.0)
    kept = {names[id(parameter)] for group in groups if group["weight_decay"] == 0 for parameter in group["params"]}
    assert kept == {name for name, parameter in task.named_parameters() if parameter.ndim == 1}
    assert all("bias" in name or "norm" in name.lower() or name.endswith("class_embedding") for name in kept)


def test_the_optimiser_is_adamw_with_the_papers_betas() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimiser = build_optimiser([{"name": "heads", "params": [parameter], "lr": 0.1, "weight_decay": 0.5}], CONFIG)
    parameter.grad = torch.tensor([2.0])
    optimiser.step()
    # The first step of Adam is the learning rate, whatever the gradient; the decay comes apart.
    assert parameter.item() == pytest.approx(1 - 0.1 * 0.5 - 0.1, abs=1e-6)
    assert optimiser.param_groups[0]["betas"] == (0.9, 0.98)


@given(total=st.integers(1, 500), warmup=st.floats(0, 0.99))
def test_the_rate_rises_to_its_peak_and_falls_to_zero(total: int, warmup: float) -> None:
    factors = [learning_rate_factor(step, total=total, warmup=warmup) for step in range(total)]
    peak = min(round(warmup * total), total - 1)
    assert all(0 < factor <= 1 for factor in factors[1:])
    assert factors[0] == (peak == 0)
    assert factors[peak] == 1
    assert all(earlier < later for earlier, later in pairwise(factors[: peak + 1]))
    assert all(earlier > later for earlier, later in pairwise(factors[peak + 1 :]))
    assert learning_rate_factor(total, total=total, warmup=warmup) == 0


def test_the_rate_is_linear() -> None:
    factors = [learning_rate_factor(step, total=10, warmup=0.4) for step in range(11)]
    assert factors == pytest.approx([0, 0.25, 0.5, 0.75, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6, 0])


def test_what_no_objective_reaches_is_frozen_and_named() -> None:
    task = pretraining_module(mim=0, itm=0, align=0)
    unreached = freeze_unreached(task, task(pretrain_batch(4)).loss)
    assert {name.split(".")[1] for name in unreached} == {"text_pooler", "image_pooler", "fusion"}
    # Nobody reads the image as it leaves the last layer.
    assert all(".layers.2.image_" in name for name in unreached if "fusion" in name)
    for name, parameter in task.named_parameters():
        assert parameter.requires_grad == (name not in unreached)
        assert parameter.grad is None


def test_with_all_objectives_nothing_is_frozen() -> None:
    task = pretraining_module()
    assert freeze_unreached(task, task(pretrain_batch(4)).loss) == []
