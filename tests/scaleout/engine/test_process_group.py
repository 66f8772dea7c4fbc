"""What workers do together: agree, and give up on one that does not come."""

import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from scaleout.engine.process_group import ProcessGroup
from tests.scaleout.engine.zero_workers import join

WORKERS, LIMIT, LATE = 2, 1.0, 20.0


def agree_then_hang(rank: int, folder: str) -> None:
    """The last worker comes to the last meeting far too late."""
    processes = join(rank, WORKERS, Path(folder, "rendezvous"))
    other = dist.new_group(range(WORKERS))  # as DeepSpeed makes its own
    seen: dict[str, object] = {"any": [processes.any(flag) for flag in (rank == 1, rank == 0, True, False)]}
    processes.limit_waiting(LIMIT)
    processes.barrier()
    if rank == 0:
        for name, group in (("default", None), ("other", other)):
            started = time.monotonic()
            try:
                dist.all_reduce(torch.ones(1), group=group)
            except RuntimeError as error:
                seen[name] = (time.monotonic() - started, str(error))
        torch.save(seen, Path(folder, "seen.pt"))
    else:
        while not Path(folder, "seen.pt").exists():
            time.sleep(0.1)


def test_workers_agree_and_give_up_on_one_that_hangs(tmp_path: Path) -> None:
    multiprocessing.spawn(agree_then_hang, (str(tmp_path),), nprocs=WORKERS)
    seen = torch.load(tmp_path / "seen.pt")
    assert seen["any"] == [True, True, True, False]
    for group in ("default", "other"):
        seconds, said = seen[group]
        assert 0.5 * LIMIT < seconds < LATE, said


@pytest.mark.parametrize("flag", [True, False])
def test_one_worker_alone_needs_nobody(flag: bool) -> None:
    processes = ProcessGroup()
    assert processes.any(flag) is flag
    processes.limit_waiting(LIMIT)
    processes.barrier()
