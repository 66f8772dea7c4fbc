"""How to run the transformer blocks: activation checkpointing and compiled kernels."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from medvlp.model.fusion import FusionLayer
from medvlp.values import Checked

RECOMPILE_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class ExecutionConfig(Checked):
    """Settings that change memory and speed of a step but not its result."""

    activation_checkpointing: bool = False
    """Keep only the inputs of every transformer block and recompute it in backward: less memory, more computation."""
    compile: bool = False
    """Compile every transformer block with ``torch.compile``; the first steps take minutes. Dropout then draws different numbers."""


def configure_execution(task: nn.Module, config: ExecutionConfig, backend: str = "inductor") -> None:
    """Make every transformer block inside ``task`` run as ``config`` says: vision, language, fusion, masked-image decoder.

    Methods of the blocks are replaced on the instance, so parameter names, hooks and ``attention_map`` do not change, and each hook of a
    block runs once. Call it once, before passing the task to an engine.

    Args:
        task: a module with blocks.
        config: what to do.
        backend: backend of ``torch.compile``; "aot_eager" captures and differentiates too, but generates no kernels.
    """
    if config.compile:
        # Torch counts graphs by code, which blocks of all kinds share; each kind has a few: widths, batch sizes, with gradients or without.
        # Past the limit it would silently fall back to plain torch.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
    for block, method in _block_methods(task):
        run = getattr(block, method)
        if config.activation_checkpointing:
            run = _recomputed(run)
        if config.compile:
            # Outside of the recomputation: a recomputed compiled function may run with another of its graphs than in
            # forward, and save other tensors (pytorch#166926). Compiled as one, it has only one graph.
            run = torch.compile(run, backend=backend)
        setattr(block, method, run)


def _block_methods(task: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Yield every transformer block, with the methods that do its work."""
    from transformers.modeling_layers import GradientCheckpointingLayer  # late: seconds, and drivers only want the configuration

    for module in task.modules():
        if isinstance(module, FusionLayer):
            # ``forward`` only calls these two; the ends of the stack call one of them alone.
            yield module, "text"
            yield module, "image"
        elif isinstance(module, GradientCheckpointingLayer):
            # The switch in transformers needs one of its whole models around the layer; vision and decoder have none.
            yield module, "forward"


def _recomputed(run: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap ``run`` to recompute its activations in backward from the same random state; without gradients it is unchanged."""

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(run, *args, use_reentrant=False, **kwargs)

    return recomputed
