"""Workers on CPU that train the tiny task in bf16, save it, or go on from what another number of them saved, and write down what they see.

Run by ``test_precision.py`` in processes of their own: DeepSpeed needs a process group.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from scaleout.checkpoint.read import load_training_state
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.process_group import ProcessGroup
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.stream.schedule import AccumulationSchedule
from tests.scaleout.engine.zero_workers import STAGES, engine_config, join, make_optimiser, make_task, micro_batch, run_step

MICRO_BATCHES, SAVED, STEPS, SCHEDULED = 4, 2, 4, 6
"""Of a step; steps before the checkpoint, steps that are made, and steps of the schedule."""
UNBROKEN, FP32, BY_THREE = "unbroken", "fp32", "by-3"
SOME_STAGES = {FP32: (0,), BY_THREE: (2,)}
"""Of the parts that are not made with every stage."""

Seen = dict[Any, Any]


def work(rank: int, workers: int, parts: Sequence[tuple[str, str]]) -> None:
    """One of ``workers``. A part is a name and the folder of a run: UNBROKEN begins it, FP32 is beside it, all others go on with it."""
    processes = join(rank, workers, Path(parts[-1][1], f"rendezvous-{workers}"))
    do = {UNBROKEN: unbroken, FP32: fp32}
    seen: dict[tuple[str, str], Seen] = {part: {} for part in parts}
    # ZeRO-3 comes last: from its first engine on DeepSpeed has replaced torch's linear layer, by one that rounds bf16 in another place.
    for stage in STAGES:
        for name, folder in parts:
            if stage in SOME_STAGES.get(name, STAGES):
                seen[name, folder][stage] = do.get(name, go_on)(stage, processes, f"{folder}/stage-{stage}")
    if processes.is_first:
        for (name, folder), stages in seen.items():
            torch.save(stages, Path(folder, f"{name}.pt"))
    processes.barrier()
    dist.destroy_process_group()


def unbroken(stage: int, processes: ProcessGroup, uri: str) -> Seen:
    """All steps in bf16, with a checkpoint."""
    engine = start(stage, processes)
    first = train(engine, processes, range(SAVED))
    facts = {"step": SAVED, "position": 0, "skipped": 0, "workers": processes.workers, "fingerprints": {}, **asdict(engine.layout)}
    CheckpointStore(uri, keep=1).save(engine, processes, facts)
    return {"first": first, **observe(engine, processes)}


def fp32(stage: int, processes: ProcessGroup, uri: str) -> Seen:
    """All steps in fp32."""
    return train(start(stage, processes, bf16=False), processes, range(STEPS))


def go_on(stage: int, processes: ProcessGroup, uri: str) -> Seen:
    """The steps after the checkpoint, by an engine that starts with other weights; then one that overflows."""
    newest = CheckpointStore(uri, keep=1).newest()
    assert newest is not None
    engine = start(stage, processes, seed=1, resharded=newest[1].is_resharded_for(processes.workers))
    load_training_state(engine, *newest, processes)
    return observe(engine, processes) | {"overflow": overflow(engine, processes), "after_overflow": engine.weights()}


def start(stage: int, processes: ProcessGroup, *, bf16: bool = True, seed: int = 0, resharded: bool = False) -> DeepSpeedEngine:
    """An engine before its first step."""
    task = make_task(seed)
    accumulation = AccumulationSchedule(MICRO_BATCHES, processes.workers).accumulation
    return DeepSpeedEngine(task, make_optimiser(task), engine_config(stage, accumulation, bf16, resharded, SCHEDULED))


def observe(engine: DeepSpeedEngine, processes: ProcessGroup) -> Seen:
    """What the engine holds at the checkpoint, and the steps after it."""
    held = {"weights": engine.weights(), "rates": engine.learning_rates(), "dtypes": dtypes(engine)}
    return {**held, **train(engine, processes, range(SAVED, STEPS)), "last_weights": engine.weights()}


def train(engine: DeepSpeedEngine, processes: ProcessGroup, steps: Sequence[int]) -> Seen:
    """Losses of all micro-batches in their order, and norms."""
    schedule = AccumulationSchedule(MICRO_BATCHES, processes.workers)
    found: Seen = {"losses": [], "norms": []}
    for step in steps:
        losses, norm = run_step(engine, step, processes.rank, None, schedule)
        # A worker has every W-th micro-batch; of three workers the first has one more.
        parts = processes.gather(losses)
        found["losses"] += [part[turn] for turn in range(len(parts[0])) for part in parts if turn < len(part)]
        found["norms"].append(norm)
    return found


def overflow(engine: DeepSpeedEngine, processes: ProcessGroup) -> float | None:
    """A step in which the last worker's loss overflows; returns the norm."""
    norm = None
    for turn in range(AccumulationSchedule(MICRO_BATCHES, processes.workers).accumulation):
        loss = engine.forward(micro_batch(turn)).loss
        engine.backward(loss * (float("inf") if processes.rank == processes.workers - 1 else 1.0))
        norm = engine.step()
    return norm


def dtypes(engine: DeepSpeedEngine) -> dict[str, set[torch.dtype]]:
    """Of what the task computes with, and of what the optimiser steps and keeps."""
    states = engine._base_optimiser.state
    return {
        "parameters": {parameter.dtype for parameter in engine.task.parameters()},
        "masters": {parameter.dtype for parameter in states},
        "moments": {state[name].dtype for state in states.values() for name in ("exp_avg", "exp_avg_sq")},
    }
