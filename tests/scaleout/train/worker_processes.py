"""Workers on CPU that run a part of a run as Ray's workers do, fed in their own processes: ``test_elastic.py`` starts them."""

from functools import partial
from pathlib import Path

import torch.distributed as dist

from scaleout.runs.inputs import Inputs, training_split
from scaleout.stream.local import local_tables
from scaleout.train.worker import WorkerSetup, run_worker
from tests.scaleout.engine.zero_workers import join


def work(rank: int, workers: int, setup: WorkerSetup, stop_at: int, folder: str) -> None:
    """Train as one of ``workers`` from the newest checkpoint until the validation at step ``stop_at``."""
    processes = join(rank, workers, Path(folder, f"rendezvous-{stop_at}"))
    config = setup.config
    split = training_split(config, Inputs.open(config))
    # Enough for every worker to run its micro-steps.
    stop = (config.train.max_steps + 1) * config.train.global_batch
    tables = partial(local_tables, split, stop=stop, micro_batch=config.train.micro_batch, rank=rank, workers=workers)
    run_worker(setup, tables, processes, workers_on_node=workers, keep_training=lambda metrics, step: step != stop_at)
    dist.destroy_process_group()
