"""What is fetched of a checkpoint: only what the workers of a node load, once on every node."""

import json
from pathlib import Path

import pytest
from torch import multiprocessing

from medvlp.errors import DamagedCheckpointError
from scaleout.checkpoint.read import fetched, training_files
from scaleout.checkpoint.record import CheckpointRecord
from scaleout.checkpoint.store import CheckpointStore
from scaleout.engine.process_group import ProcessGroup
from tests.scaleout.checkpoint.read_workers import NODES, WORKERS, save_and_resume

SHARED = "engine/engine/mp_rank_00_model_states.pt"


def of_rank(rank: int, prefix: str = "") -> str:
    return f"engine/engine/{prefix}zero_pp_rank_{rank}_mp_rank_00_optim_states.pt"


def record(*names: str) -> CheckpointRecord:
    files = {name: {"bytes": 1, "sha256": "x"} for name in ("weights.safetensors", *names)}
    return CheckpointRecord(step=1, position=1, skipped=0, workers=2, zero_stage=2, fingerprints={}, files=files)


@pytest.mark.parametrize("prefix", ["", "bf16_"])
def test_a_node_wants_its_own_ranks_and_what_is_of_no_rank(prefix: str) -> None:
    names = [of_rank(rank, prefix) for rank in range(12)]
    assert training_files(record(SHARED, *names), [1, 11]) == [SHARED, names[1], names[11]]


def test_what_one_node_cannot_fetch_ends_all(tmp_path: Path) -> None:
    with pytest.raises(DamagedCheckpointError, match="is missing"), fetched(str(tmp_path), record(SHARED), ProcessGroup(), resharded=False):
        raise AssertionError


@pytest.mark.slow
def test_every_node_fetches_its_part_once(s3: str, tmp_path: Path) -> None:
    uri = f"{s3}/four-workers/checkpoints"
    multiprocessing.spawn(save_and_resume, (uri, str(tmp_path)), nprocs=WORKERS)
    seen = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(WORKERS)]
    assert all(worker["same"] for worker in seen)
    _, saved = CheckpointStore(uri, keep=1).newest()
    optimisers = {rank: next(name for name in saved.files if f"zero_pp_rank_{rank}_" in name) for rank in range(WORKERS)}
    for node in ("one", "two"):
        ranks = [rank for rank, where in NODES.items() if where == node]
        names = [name for rank in ranks for name in seen[rank]["fetched"]]
        assert sorted(names) == sorted([*(optimisers[rank] for rank in ranks), SHARED])
        assert sum(saved.files[name]["bytes"] for name in names) < sum(file["bytes"] for file in saved.files.values())
