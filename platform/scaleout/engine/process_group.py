"""The workers of a run as seen from one of them; one process alone needs no process group."""

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from medvlp.errors import MedvlpError
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

    @contextmanager
    def folder_for_node(self, make: Callable[[], AbstractContextManager[Path]]) -> Iterator[Path]:
        """A folder that the first worker of every node makes, for all workers of the node; entered by all workers together.

        Raises:
            MedvlpError: one of them could not make it; on every worker.
        """
        maker = self.gather(self.node).index(self.node)
        with ExitStack() as stack:
            path, failure = Path(), None
            if self.rank == maker:
                try:
                    path = stack.enter_context(make())
                except MedvlpError as error:
                    failure = error
            made = self.gather((path, failure))
            if failures := [failed for _, failed in made if failed is not None]:
                raise failures[0]
            yield made[maker][0]
            self.barrier()  # before the folder goes

    def barrier(self) -> None:
        """Wait until every worker is here."""
        if self.workers > 1:
            dist.barrier()
