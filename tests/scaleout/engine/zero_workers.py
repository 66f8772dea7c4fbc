"""Two workers on CPU that train the tiny task with every ZeRO stage in turn, and write down what they see.

Run by ``test_zero.py`` in processes of their own: DeepSpeed needs a process group.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from medvlp.data.batch import PretrainBatch
from medvlp.model.execution import ExecutionConfig, configure_execution
from medvlp.optimisation import OptimiserConfig, build_optimiser, learning_rate_factor, parameter_groups
from medvlp.tasks.pretrain.evaluation import evaluate_pretraining
from medvlp.tasks.pretrain.module import PretrainingModule
from scaleout.engine.base import EngineConfig
from scaleout.engine.process_group import ProcessGroup
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.stream.schedule import AccumulationSchedule
from tests.medvlp.tiny import model_config, pretrain_batch, pretraining_module

WORKERS, ACCUMULATION, STEPS, STAGES = 2, 2, 3, (0, 1, 2, 3)
COMPILED = {
    "compiled": ExecutionConfig(compile=True),
    "compiled and recomputed": ExecutionConfig(compile=True, activation_checkpointing=True),
}
# Adam divides by the epsilon where a gradient vanishes: with the usual one, rounding errors become steps of full size.
OPTIMISER = OptimiserConfig(learning_rate=1e-2, epsilon=1e-3, clip_norm=0.5)
VALIDATED = 1000
"""A micro-batch that no step trains on."""
RELEASE_ALL = {"stage3_param_persistence_threshold": 0, "stage3_max_reuse_distance": 0}
"""ZeRO-3 would keep parameters as small as these whole on every worker, all the time."""
FROZEN = (
    "arl.vision.embeddings.class_embedding",
    "arl.vision.encoder.layers.1.mlp.fc1.weight",
    "arl.language.encoder.encoder.layer.0.output.LayerNorm.weight",
    "arl.fusion.layers.0.text_feed_forward.norm.weight",
    "arl.fusion.layers.1.image_cross_attention.output.weight",
)
"""One outside of the blocks; the others are saved for backward inside of them."""


def make_task(seed: int = 0, dropout: float = 0.1) -> PretrainingModule:
    """All objectives, and a few frozen parameters."""
    task = pretraining_module(model_config(dropout=dropout), seed)
    for name in FROZEN:
        task.get_parameter(name).requires_grad_(False)
    return task


def make_shallow_task() -> PretrainingModule:
    """One block of every kind: a graph of each takes seconds to compile. Without dropout: compiled kernels draw other numbers."""
    whole = model_config()
    vision, fusion = replace(whole.vision, layers=1), replace(whole.fusion, layers=2)
    return pretraining_module(replace(whole, vision=vision, fusion=fusion))


def make_optimiser(task: PretrainingModule) -> torch.optim.AdamW:
    """As a run has it."""
    return build_optimiser(parameter_groups(task, task.arl, OPTIMISER, knowledge_multiplier=5.0), OPTIMISER)


def engine_config(zero_stage: int, accumulation: int, bf16: bool = False, resharded: bool = False, steps: int = STEPS) -> EngineConfig:
    """Clips, and decays the learning rates."""
    factor = partial(learning_rate_factor, total=steps, warmup=0.0)
    return EngineConfig(4, accumulation, OPTIMISER.clip_norm, zero_stage, bf16, factor, RELEASE_ALL, resharded)


def micro_batch(number: int) -> PretrainBatch:
    """Micro-batch ``number`` of the run; torch's generator is set as the loop sets it. One sample does not decode."""
    torch.manual_seed(number)
    return pretrain_batch(4, first=4 * number, broken=(1,) if number == 2 else ())


def run_step(
    engine: DeepSpeedEngine,
    step: int,
    rank: int,
    gradients: dict[str, Tensor] | None = None,
    schedule: AccumulationSchedule = AccumulationSchedule(ACCUMULATION * WORKERS, WORKERS),  # noqa: B008
) -> tuple[list[float], float]:
    """One optimiser step: losses of this worker's micro-batches, and the norm; ``gradients`` receives the whole gradients."""
    from deepspeed.utils import safe_get_full_grad

    losses, norm = [], None
    for turn in range(schedule.accumulation):
        assert norm is None
        number = turn * schedule.workers + rank
        counts = number < schedule.micro_batches
        output = engine.forward(micro_batch(step * schedule.micro_batches + (number if counts else rank)))
        engine.backward(output.loss * (schedule.weight if counts else 0.0))
        if gradients is not None and turn == schedule.accumulation - 1:
            # A collective, with ZeRO: every parameter on every worker, in one order.
            whole = {name: safe_get_full_grad(p) for name, p in engine.task.named_parameters() if p.requires_grad}
            gradients.update({name: gradient.float().clone() for name, gradient in whole.items()})
        if counts:
            losses.append(output.loss.item())
        norm = engine.step()
    assert norm is not None
    return losses, norm


def observe(stage: int, rank: int, folder: Path) -> dict[str, Any]:
    """Everything there is to compare of one stage."""
    task = make_task()
    engine = DeepSpeedEngine(task, make_optimiser(task), engine_config(stage, ACCUMULATION))
    gradients: dict[str, Tensor] = {}
    seen: dict[str, Any] = {"gradients": gradients, "rates": [engine.learning_rates()]}
    steps = [run_step(engine, 0, rank, gradients), run_step(engine, 1, rank)]
    seen["rates"].append(engine.learning_rates())
    seen["weights"] = engine.weights()
    task.eval()
    seen["records"] = evaluate_pretraining(task, micro_batch(VALIDATED))
    task.train()
    engine.save(folder)
    ProcessGroup.current().barrier()
    steps.append(run_step(engine, 2, rank))
    seen["losses"], seen["norms"] = [losses for losses, _ in steps], [norm for _, norm in steps]
    seen["last_weights"] = engine.weights()

    other = make_task(seed=1)
    resumed = DeepSpeedEngine(other, make_optimiser(other), engine_config(stage, ACCUMULATION))
    resumed.load(folder)
    seen["resumed_weights"], seen["resumed_rates"] = resumed.weights(), resumed.learning_rates()
    seen["resumed_losses"], seen["resumed_norm"] = run_step(resumed, 2, rank)
    seen["resumed_last_weights"] = resumed.weights()

    for turn in range(ACCUMULATION):
        output = resumed.forward(micro_batch(turn))
        # One worker's loss overflows; all must hear of it.
        resumed.backward(output.loss * (float("inf") if rank == 1 else 1.0))
        seen["infinite_norm"] = resumed.step()
    seen["weights_after_infinity"], seen["rates_after_infinity"] = resumed.weights(), resumed.learning_rates()
    return seen


def observe_execution(task: PretrainingModule, stage: int, rank: int, execution: ExecutionConfig, backend: str = "") -> dict[str, Any]:
    """Two steps of a task whose blocks run in another way: gradients of the first, losses and norms of both."""
    configure_execution(task, execution, backend)
    engine = DeepSpeedEngine(task, make_optimiser(task), engine_config(stage, ACCUMULATION))
    gradients: dict[str, Tensor] = {}
    steps = [run_step(engine, 0, rank, gradients), run_step(engine, 1, rank)]
    return {"gradients": gradients, "losses": [losses for losses, _ in steps], "norms": [norm for _, norm in steps]}


def norm_in_bf16(stage: int, rank: int) -> float:
    """The norm of the first gradient in half precision, as on GPUs."""
    task = make_task()
    engine = DeepSpeedEngine(task, make_optimiser(task), engine_config(stage, ACCUMULATION, bf16=True))
    return run_step(engine, 0, rank)[1]


def join(rank: int, workers: int, rendezvous: Path) -> ProcessGroup:
    """Start this process as one of ``workers``."""
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": str(workers), "GLOO_SOCKET_IFNAME": "lo", "DS_ACCELERATOR": "cpu"}
    dist.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank, world_size=workers)
    return ProcessGroup.current()


def leave(rank: int, folder: str, seen: dict[Any, Any]) -> None:
    """Write down what was seen, when all have come so far."""
    torch.save(seen, Path(folder, f"seen-{rank}.pt"))
    ProcessGroup.current().barrier()
    dist.destroy_process_group()


def main(rank: int, folder: str) -> None:
    """One of the workers."""
    processes = join(rank, WORKERS, Path(folder, "rendezvous"))
    seen: dict[Any, Any] = {stage: observe(stage, rank, Path(folder, f"stage-{stage}")) for stage in STAGES}
    recomputed = ExecutionConfig(activation_checkpointing=True)
    seen["recomputed"] = {stage: observe_execution(make_task(), stage, rank, recomputed) for stage in STAGES}
    seen["bf16_norms"] = {stage: norm_in_bf16(stage, rank) for stage in STAGES}
    seen["gathered"], seen["is_first"] = processes.gather({"rank": rank}), processes.is_first
    leave(rank, folder, seen)


def main_compiled(rank: int, folder: str, backend: str, name: str, stages: Sequence[int]) -> None:
    """One of the workers, with compiled blocks."""
    join(rank, WORKERS, Path(folder, "rendezvous"))
    # A block that is compiled for ever more shapes would go back to plain torch without a word.
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    seen = {}
    for stage in stages:
        torch._dynamo.reset()  # graphs belong to code, not to the task they were compiled for
        seen[stage] = observe_execution(make_shallow_task(), stage, rank, COMPILED[name], backend)
    leave(rank, folder, seen)
