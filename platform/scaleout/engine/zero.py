"""DeepSpeed ZeRO as an engine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR

from medvlp.data.batch import Batch
from medvlp.errors import CheckpointError
from medvlp.tasks.module import TaskOutput
from scaleout.compat.deepspeed_internals import fp32_masters
from scaleout.compat.torch_internals import wrap_forward_hooks
from scaleout.engine.base import TAG, EngineConfig
from scaleout.engine.readings import follow_schedule, gradient_norm, learning_rates


class DeepSpeedEngine:
    """DeepSpeed ZeRO of any stage, in fp32 or bf16, on GPUs with NCCL or on CPUs with gloo. See ``Engine``."""

    def __init__(self, task: nn.Module, optimiser: torch.optim.Optimizer, config: EngineConfig):
        import deepspeed

        self.task, self.layout = task, config.layout
        self._engine, self._optimiser, _, self._scheduler = deepspeed.initialize(
            model=task,
            optimizer=optimiser,
            lr_scheduler=lambda optimiser: LambdaLR(optimiser, config.learning_rate_factor),
            config=_deepspeed_config(task, config),
            dist_init_required=False,
        )
        self.device: torch.device = self._engine.device
        if config.zero_stage == 3:
            _leave_hooks_to_python(task)
        if config.zero_stage == 0 and not config.bf16:
            # In all other cases DeepSpeed itself skips a step with a non-finite gradient.
            optimiser.register_step_pre_hook(_drop_unless_finite)
        self._base_optimiser = optimiser
        self._masters = self._undo_first_step() if config.zero_stage == 0 and config.bf16 else {}
        self._resharded = config.resharded

    def _undo_first_step(self) -> dict[nn.Parameter, Tensor]:
        """Return the fp32 weight of every parameter (bf16 without ZeRO), and reset the optimiser to zero steps.

        DeepSpeed 0.19 makes a step without gradients to allocate the moments: it decays the weights, and Adam counts it.
        """
        masters = fp32_masters(self._optimiser)
        with torch.no_grad():
            for parameter, master in masters.items():
                master.copy_(parameter)
        self._base_optimiser.state.clear()
        return masters

    def forward(self, batch: Batch) -> TaskOutput:
        """See ``Engine``."""
        return self._engine(batch)

    def backward(self, loss: Tensor) -> None:
        """See ``Engine``."""
        self._engine.backward(loss)

    def step(self) -> float | None:
        """See ``Engine``."""
        boundary = self._engine.is_gradient_accumulation_boundary()
        # Without ZeRO in float32 DeepSpeed does not compute the norm; the gradients are reduced at this point.
        norm = gradient_norm(self.task) if boundary and not self._engine.zero_optimization() else None
        self._engine.step()
        if not boundary:
            return None
        if not self._engine.was_step_applied():
            self._scheduler.step()
        return float(self._engine.get_global_grad_norm() if norm is None else norm)

    def learning_rates(self) -> dict[str, float]:
        """See ``Engine``."""
        return learning_rates(self._optimiser)

    def save(self, folder: Path) -> None:
        """See ``Engine``."""
        self._engine.save_checkpoint(str(folder), tag=TAG, save_latest=False)
        for script in folder.glob("zero_to_*.py"):  # a checkpoint contains nothing to execute
            script.unlink(missing_ok=True)

    def load(self, folder: Path) -> None:
        """See ``Engine``."""
        groups = [_settings(group) for group in self._optimiser.param_groups]
        path, _ = self._engine.load_checkpoint(str(folder), tag=TAG)
        if path is None:
            raise CheckpointError(f"DeepSpeed finds no training state in {folder}")
        if self._resharded:
            self._repair(groups)
        follow_schedule(self._optimiser, self._scheduler)

    def _repair(self, groups: list[dict[str, Any]]) -> None:
        """Undo what DeepSpeed 0.19 does to a universal checkpoint of ZeRO-3.

        Every group has the settings of the first (its decay, learning rate and name), and all share one tensor with the number of
        steps, which each then counts up.
        """
        for group, settings, rate in zip(self._optimiser.param_groups, groups, self._scheduler.get_last_lr(), strict=True):
            group.update(settings | {"lr": rate})
        for state in self._base_optimiser.state.values():
            state["step"] = state["step"].clone()

    def set_frozen(self, weights: Mapping[str, Tensor]) -> None:
        """See ``Engine``."""
        import deepspeed

        frozen = {name: parameter for name, parameter in self.task.named_parameters() if not parameter.requires_grad}
        sharded = [parameter for parameter in frozen.values() if hasattr(parameter, "ds_id")]
        with torch.no_grad(), deepspeed.zero.GatheredParameters(sharded, modifier_rank=0):
            for name, parameter in frozen.items():
                parameter.copy_(weights[name])

    def weights(self) -> dict[str, Tensor]:
        """See ``Engine``."""
        from deepspeed.utils import safe_get_full_fp32_param

        weights = {}
        for name, parameter in self.task.named_parameters():
            full = self._masters.get(parameter)
            if full is None and parameter.requires_grad:
                full = safe_get_full_fp32_param(parameter)
            weights[name] = (_whole(parameter) if full is None else full).detach().float().cpu().clone()
        return weights


def _deepspeed_config(task: nn.Module, config: EngineConfig) -> dict[str, Any]:
    parameters = sum(parameter.numel() for parameter in task.parameters())
    return {
        "train_micro_batch_size_per_gpu": config.micro_batch,
        "gradient_accumulation_steps": config.accumulation,
        "gradient_clipping": config.clip_norm,
        "zero_allow_untested_optimizer": True,
        "bf16": {"enabled": config.bf16},
        "checkpoint": {"load_universal": config.resharded},
        # A bucket is a fully allocated buffer: no larger than the model.
        "zero_optimization": {
            "stage": config.zero_stage,
            "reduce_bucket_size": min(500_000_000, max(parameters, 1)),
            **config.zero_options,
        },
        "steps_per_print": None,
        "wall_clock_breakdown": False,
    }


def _leave_hooks_to_python(task: nn.Module) -> None:
    """Keep ZeRO-3's gathering and releasing out of compiled blocks: torch would compile it again for every module."""
    for module in task.modules():
        wrap_forward_hooks(module, torch.compiler.disable)


def _drop_unless_finite(optimiser: torch.optim.Optimizer, *_: Any) -> None:
    """Drop non-finite gradients: a step without gradients changes nothing."""
    gradients = [p.grad for group in optimiser.param_groups for p in group["params"] if p.grad is not None]
    if not torch.nn.utils.get_total_norm(gradients).isfinite():
        optimiser.zero_grad(set_to_none=True)


def _settings(group: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a parameter group, without its parameters."""
    return {name: value for name, value in group.items() if name != "params"}


def _whole(parameter: nn.Parameter) -> Tensor:
    """Return the whole of a parameter that no optimiser owns; ZeRO-3 shards it too."""
    import deepspeed

    if not hasattr(parameter, "ds_id"):
        return parameter
    with deepspeed.zero.GatheredParameters([parameter]):
        return parameter.detach().clone()
