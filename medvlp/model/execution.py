"""How the transformer blocks are run: activations recomputed in backward instead of kept, and kernels compiled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from medvlp.model.fusion import FusionLayer

RECOMPILE_LIMIT = 64


@dataclass(frozen=True, kw_only=True)
class ExecutionConfig:
    """What changes memory and speed of a step, and nothing of what it learns."""

    activation_checkpointing: bool = False
    """Keep only the inputs of every transformer block and compute it again in backward: less memory, more computation."""
    compile: bool = False
    """Compile every transformer block with ``torch.compile``; the first steps take minutes. Dropout draws other numbers then."""


def configure_execution(task: nn.Module, config: ExecutionConfig, backend: str = "inductor") -> None:
    """Make every transformer block inside ``task`` run as ``config`` says: vision, language, fusion, masked-image decoder.

    Methods of the blocks are replaced on the instance, so names of parameters, hooks and ``attention_map`` stay what
    they were, and what is hooked to a block runs once. Call it once, before the task is given to an engine.

    Args:
        task: a module with blocks.
        config: what to do.
        backend: of ``torch.compile``; "aot_eager" captures and differentiates as it does, and generates no kernels.
    """
    if config.compile:
        # Torch counts graphs by code, which blocks of all kinds share; each kind has a few: widths, batch sizes, with gradients or without.
        # Past the limit it would go back to plain torch without a word.
        torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, RECOMPILE_LIMIT)
    for block, method in _block_methods(task):
        run = getattr(block, method)
        if config.activation_checkpointing:
            run = _recomputed(run)
        if config.compile:
            # Outside of the recomputation: a compiled function that is recomputed may be run by another of its graphs than in
            # forward, and save other tensors (pytorch#166926). Compiled as one, there is nothing to choose.
            run = torch.compile(run, backend=backend)
        setattr(block, method, run)


def _block_methods(task: nn.Module) -> Iterator[tuple[nn.Module, str]]:
    """Every transformer block, with the methods that do its work."""
    from transformers.modeling_layers import GradientCheckpointingLayer  # late: seconds, and drivers only want the configuration

    for module in task.modules():
        if isinstance(module, FusionLayer):
            # ``forward`` only calls these two; the ends of the stack call one of them alone.
            yield module, "text"
            yield module, "image"
        elif isinstance(module, GradientCheckpointingLayer):
            # The switch of transformers needs one of its whole models around the layer, which neither vision nor decoder have.
            yield module, "forward"


def _recomputed(run: Callable[..., Any]) -> Callable[..., Any]:
    """``run``, with its activations recomputed in backward from the same random state; without gradients as it was."""

    def recomputed(*args: Any, **kwargs: Any) -> Any:
        return checkpoint(run, *args, use_reentrant=False, **kwargs)

    return recomputed
