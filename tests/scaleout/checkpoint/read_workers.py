"""Four workers on two named nodes that save a ZeRO checkpoint to a bucket and resume from it, and note what each node fetches.

Run by ``test_read.py`` in processes of their own.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch.distributed as dist

from scaleout.checkpoint.read import load_training_state
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.zero import DeepSpeedEngine
from scaleout.io import storage
from tests.scaleout.engine.zero_workers import engine_config, join, make_optimiser, make_task

WORKERS = 4
NODES = {0: "one", 1: "one", 2: "two", 3: "two"}


def save_and_resume(rank: int, uri: str, folder: str) -> None:
    """Save with ZeRO 2, then continue, with a note of every file that this worker fetched."""
    processes = replace(join(rank, WORKERS, Path(folder, "rendezvous")), node=NODES[rank])
    store = CheckpointStore(uri, keep=1)
    task = make_task()
    engine = DeepSpeedEngine(task, make_optimiser(task), engine_config(2, 1))
    facts = {"step": 0, "position": 0, "skipped": 0, "workers": WORKERS, "zero_stage": 2, "fingerprints": {}}
    store.save(engine, processes, facts)
    newest = store.newest()
    assert newest is not None
    fetched: list[str] = []
    download = storage.download_files

    def noted(source: str, names: Sequence[str], local: Path) -> None:
        fetched.extend(names)
        download(source, names, local)

    storage.download_files = noted
    other = make_task(seed=1)
    resumed = DeepSpeedEngine(other, make_optimiser(other), engine_config(2, 1))
    load_training_state(resumed, *newest, processes)
    before, after = engine.weights(), resumed.weights()
    same = all(bool((before[name] == after[name]).all()) for name in before)
    Path(folder, f"{rank}.json").write_text(json.dumps({"fetched": fetched, "same": same}))
    processes.barrier()
    dist.destroy_process_group()
