"""Workers on CPU that save a run of the tiny task, or go on from what another number of them saved, and write down what they see.

Run by ``test_resharding.py`` in processes of their own: DeepSpeed needs a process group.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from scaleout.checkpoint.read import load_training_state
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.process_group import ProcessGroup
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.stream.schedule import AccumulationSchedule
from tests.scaleout.engine.zero_workers import STAGES, engine_config, join, make_optimiser, make_task, micro_batch, run_step

MICRO_BATCHES = 4
"""Of a step; 3 workers cannot share them evenly."""
STEPS = 6
"""Of the schedule."""
CONTINUED_BY = {2: (1, 3), 1: (2,)}
"""Workers that save, and how many go on; 3 of them idle in 2 micro-steps of every step."""


def plain_gradients(weights: Mapping[str, Tensor], workers: int) -> dict[str, Tensor]:
    """Of the step after the checkpoint, in plain torch, by losses of the size that this many workers give them.

    An engine of W workers hands W / M times the loss of each of a step's M micro-batches to its backward, and divides by W
    later. Where that is no power of two, every product in the backward is rounded in another place; a query's gradient is a
    small difference of large ones (of the softmax), and shows it: up to 1.3e-5 of its norm, in plain torch alone.
    """
    task = make_task()
    task.load_state_dict(weights)
    for number in range(MICRO_BATCHES):
        (task(micro_batch(2 * MICRO_BATCHES + number)).loss * (workers / MICRO_BATCHES)).backward()
    return {name: p.grad / workers for name, p in task.named_parameters() if p.grad is not None}


def observe(engine: DeepSpeedEngine, processes: ProcessGroup) -> dict[str, Any]:
    """What the engine holds, and what its next two steps do: moments, step count, decay and learning rates all show in them."""
    gradients: dict[str, Tensor] = {}
    schedule = AccumulationSchedule(MICRO_BATCHES, processes.workers)
    weights, rates = engine.weights(), engine.learning_rates()
    norms = [run_step(engine, 2, processes.rank, gradients, schedule)[1], run_step(engine, 3, processes.rank, None, schedule)[1]]
    return {"weights": weights, "rates": rates, "gradients": gradients, "norms": norms, "last_weights": engine.weights()}


def save(rank: int, workers: int, folder: str) -> None:
    """Two steps with every stage, a checkpoint, and the two steps after it."""
    processes = join(rank, workers, Path(folder, "rendezvous-save"))
    seen: dict[Any, Any] = {}
    for stage in STAGES:
        task = make_task()
        engine = DeepSpeedEngine(
            task, make_optimiser(task), engine_config(stage, AccumulationSchedule(MICRO_BATCHES, workers).accumulation, steps=STEPS)
        )
        for step in (0, 1):
            run_step(engine, step, rank, None, AccumulationSchedule(MICRO_BATCHES, workers))
        facts = {"step": 2, "position": 8 * MICRO_BATCHES, "skipped": 1, "workers": workers, "zero_stage": stage, "fingerprints": {}}
        CheckpointStore(f"{folder}/stage-{stage}", keep=1).save(engine, processes, facts)
        weights = engine.weights()
        seen[stage] = observe(engine, processes)
        seen[stage]["plain"] = {after: plain_gradients(weights, after) for after in (workers, *CONTINUED_BY[workers])}
    finish(processes, seen, Path(folder, "unbroken.pt"))


def continue_run(rank: int, workers: int, folder: str) -> None:
    """The two steps after the checkpoints, by workers that start with other weights."""
    processes = join(rank, workers, Path(folder, f"rendezvous-{workers}"))
    seen: dict[Any, Any] = {}
    for stage in STAGES:
        newest = CheckpointStore(f"{folder}/stage-{stage}", keep=1).newest()
        assert newest is not None
        task = make_task(seed=1)
        config = engine_config(
            stage, AccumulationSchedule(MICRO_BATCHES, workers).accumulation, resharded=newest[1].is_resharded_for(workers), steps=STEPS
        )
        engine = DeepSpeedEngine(task, make_optimiser(task), config)
        load_training_state(engine, *newest, processes)
        seen[stage] = observe(engine, processes)
    finish(processes, seen, Path(folder, f"by-{workers}.pt"))


def finish(processes: ProcessGroup, seen: dict[Any, Any], file: Path) -> None:
    """The first worker writes; with whole tensors the others have the same."""
    if processes.is_first:
        torch.save(seen, file)
    processes.barrier()
    dist.destroy_process_group()
