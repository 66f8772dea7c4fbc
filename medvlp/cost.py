"""Floating-point operations of a forward and backward, counted by torch on tensors without content.

The count is that of torch's ``FlopCounterMode`` with plain (math) attention: matrix products and convolutions, two operations per
multiply-add. Norms, softmax, activations, look-ups and the scatter of graph attention do not count. Recomputation by attention kernels and
activation checkpointing does not count either: it is work of the execution, not of the model.
"""

from collections.abc import Container
from dataclasses import fields, replace
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medvlp.data.batch import Batch
from medvlp.tasks.base import Task, TaskContext
from medvlp.tasks.module import TaskModule


class FlopCount:
    """Operations per sample, including its share of the work done once per micro-batch. Counted on first use."""

    def __init__(self, task: Task, context: TaskContext, *, micro_batch: int, frozen: Container[str] = ()):
        """Prepare the count; ``frozen`` are the names of the parameters without a gradient."""
        self._task, self._micro_batch, self._frozen = task, micro_batch, frozen
        self._context = replace(context, model=context.model.from_scratch())
        self._counted: dict[int, float] = {}

    def per_sample(self, width: int) -> float:
        """Return the operations of a sample whose text is padded to ``width``."""
        if width not in self._counted:
            with torch.random.fork_rng():
                batch = self._task.synthetic_batch(self._context, self._micro_batch, width)
                with torch.device("meta"):  # only its shapes are needed
                    module = self._task.build(self._context)
            for name, parameter in module.named_parameters():
                parameter.requires_grad_(name not in self._frozen)
            self._counted[width] = batch_flops(module, batch) / self._micro_batch
        return self._counted[width]


def batch_flops(module: TaskModule, batch: Batch) -> float:
    """Count the operations of forward and backward of a batch, on any device; computes nothing and leaves ``module`` unchanged."""
    values = {field.name: getattr(batch, field.name) for field in fields(batch)}
    with FakeTensorMode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        tensors = {name: _empty(tensor) for name, tensor in chain(module.named_parameters(), module.named_buffers())}
        empty: dict[str, Any] = {name: _empty(value) for name, value in values.items() if isinstance(value, Tensor)}
        functional_call(module, tensors, (replace(batch, **empty),)).loss.backward()
    return float(counter.get_total_flops())


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty(tensor.shape, dtype=tensor.dtype, requires_grad=tensor.requires_grad)
