"""The paper's optimiser: three learning rates, decay for matrices only, linear warm-up and decay."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from medvlp.values import Checked, Positive, PositiveOrZero, ShareBelowOne

if TYPE_CHECKING:
    from medvlp.model.arl import ARL  # drivers import this module for its configuration, and the model takes a second


@dataclass(frozen=True, kw_only=True)
class OptimiserConfig(Checked):
    """AdamW with the learning rates of the paper (ARL §4.2)."""

    learning_rate: Positive = 1e-5
    """Peak learning rate of the pre-trained encoders."""
    fusion_multiplier: PositiveOrZero = 5.0
    """Learning-rate multiplier of the fusion model, its projections and its poolers."""
    head_multiplier: PositiveOrZero = 5.0
    """Learning-rate multiplier of the heads of the task; in pre-training, also of the knowledge encoder."""
    weight_decay: PositiveOrZero = 0.01
    """Weight decay of the parameters selected by ``decayed``; the others have none."""
    decayed: Literal["matrices", "authors"] = "matrices"
    """Parameters with weight decay: those with more than one dimension, or those selected by the authors' name rules, which include CLIP's
    norms."""
    beta1: ShareBelowOne = 0.9
    beta2: ShareBelowOne = 0.98
    epsilon: Positive = 1e-8
    warmup: ShareBelowOne = 0.1
    """Fraction of the steps over which the learning rate rises linearly from 0; it then falls linearly to 0."""
    clip_norm: PositiveOrZero = 1.0
    """Maximum norm of the gradient; 0 disables clipping, as the authors do."""


def parameter_groups(task: nn.Module, arl: "ARL", config: OptimiserConfig, *, knowledge_multiplier: float) -> list[dict[str, Any]]:
    """Group parameters by role (encoders, knowledge, fusion, heads), each with and without weight decay, without frozen parameters."""
    encoders = [arl.vision, arl.language, arl.stream_type]
    fusion = [arl.fusion, arl.image_projection, arl.text_projection, arl.image_pooler, arl.text_pooler]
    role_of = {id(parameter): "fusion" for module in fusion for parameter in module.parameters()}
    role_of |= {id(parameter): "encoders" for module in encoders for parameter in module.parameters()}
    role_of |= {id(parameter): "knowledge" for parameter in arl.knowledge.parameters()}
    multipliers = {
        "encoders": 1.0,
        "knowledge": knowledge_multiplier,
        "fusion": config.fusion_multiplier,
        "heads": config.head_multiplier,
    }
    groups: list[dict[str, Any]] = []
    for role, multiplier in multipliers.items():
        trained = [(name, p) for name, p in task.named_parameters() if p.requires_grad and role_of.get(id(p), "heads") == role]
        for decayed in (True, False):
            chosen = [parameter for name, parameter in trained if _is_decayed(name, parameter, config) == decayed]
            if chosen:
                decay = config.weight_decay if decayed else 0.0
                groups.append({"name": role, "params": chosen, "lr": config.learning_rate * multiplier, "weight_decay": decay})
    return groups


_AUTHORS_UNDECAYED = re.compile(r".*\.bias|.*\.LayerNorm\.weight|arl\.fusion\..*norm\.weight|masked_(language|image)\.norm\.weight")
"""The authors' rule, with our names: it misses the norms of CLIP, of the knowledge encoder and of downstream heads."""


def _is_decayed(name: str, parameter: nn.Parameter, config: OptimiserConfig) -> bool:
    return parameter.ndim > 1 if config.decayed == "matrices" else _AUTHORS_UNDECAYED.fullmatch(name) is None


def build_optimiser(groups: list[dict[str, Any]], config: OptimiserConfig) -> torch.optim.AdamW:
    """Build torch's own AdamW: fused kernels compile for minutes on first use and gain nothing at this size."""
    return torch.optim.AdamW(groups, betas=(config.beta1, config.beta2), eps=config.epsilon)


def learning_rate_factor(step: int, *, total: int, warmup: float) -> float:
    """Return the factor of the peak learning rate at optimiser step ``step`` of ``total``; it starts at 0, as in the authors' code."""
    rising = min(round(warmup * total), total - 1)
    if step < rising:
        return step / rising
    return max(0.0, (total - step) / (total - rising))


def freeze_unreached(task: nn.Module, loss: torch.Tensor) -> list[str]:
    """Freeze every parameter that ``loss`` does not depend on, and name them.

    An objective that is not built leaves parts of the model without a gradient. ZeRO would still shard, reduce and decay them, and stage 3
    leaves stale gradients in them.
    """
    loss.backward()
    unreached = [name for name, parameter in task.named_parameters() if parameter.requires_grad and parameter.grad is None]
    for parameter in task.parameters():
        parameter.requires_grad_(parameter.grad is not None)
        parameter.grad = None
    return unreached
