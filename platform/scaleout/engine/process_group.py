"""The workers of a run as seen from one of them; a single process needs no torch process group."""

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
    """The rank of this worker and the collective operations of all workers."""

    rank: int = 0
    workers: int = 1
    node: str = field(default_factory=socket.gethostname)
    """Name of this worker's machine."""

    @classmethod
    def current(cls) -> "ProcessGroup":
        """Return the default process group; a single process if there is none."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    @property
    def is_first(self) -> bool:
        """Whether this is the reporting worker."""
        return self.rank == 0

    @property
    def uses_gpu(self) -> bool:
        """Whether workers compute on GPUs."""
        return dist.get_backend() == "nccl" if dist.is_initialized() else torch.cuda.is_available()

    def gather(self, value: Any) -> list[Any]:
        """Return every worker's value, in the order of ranks, on every worker."""
        if self.workers == 1:
            return [value]
        values: list[Any] = [None] * self.workers
        dist.all_gather_object(values, value)
        return values

    def any(self, flag: bool) -> bool:
        """Return on every worker whether any worker's ``flag`` is set."""
        if self.workers == 1:
            return flag
        votes = torch.tensor(float(flag), device="cuda" if self.uses_gpu else "cpu")
        dist.all_reduce(votes, op=dist.ReduceOp.MAX)
        return bool(votes)

    def limit_waiting(self, seconds: float) -> None:
        """Limit how long a collective waits for the other workers, in every process group.

        DeepSpeed creates its groups with torch's default: 30 minutes for gloo, 10 for NCCL.
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
