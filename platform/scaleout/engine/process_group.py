"""The workers of a run as seen from one of them; one process alone needs no process group."""

import socket
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist

from scaleout.compat.torch_internals import set_collective_timeout


@dataclass(frozen=True)
class ProcessGroup:
    """This worker's number and what all workers do together."""

    rank: int = 0
    workers: int = 1
    node: str = field(default_factory=socket.gethostname)
    """Name of this worker's machine."""

    @classmethod
    def current(cls) -> "ProcessGroup":
        """Of the default process group, if there is one."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that reports."""
        return self.rank == 0

    @property
    def uses_gpu(self) -> bool:
        """Whether workers compute on GPUs."""
        return dist.get_backend() == "nccl" if dist.is_initialized() else torch.cuda.is_available()

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, in the order of ranks, on every worker."""
        if self.workers == 1:
            return [value]
        values: list[Any] = [None] * self.workers
        dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Whether any worker's ``flag`` is set, on every worker."""
        if self.workers == 1:
            return flag
        votes = torch.tensor(float(flag), device="cuda" if self.uses_gpu else "cpu")
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return bool(votes)

    def limit_waiting(self, seconds: float) -> None:
        """From now on a collective fails on a worker whose peers do not come within ``seconds``, in every process group.

        DeepSpeed's groups are made with torch's default, 30 minutes for gloo, 10 for NCCL.
        """
        if self.workers > 1:
            set_collective_timeout(seconds)

    def barrier(self) -> None:
        """Wait until every worker is here."""
        if self.workers > 1:
            dist.barrier()
