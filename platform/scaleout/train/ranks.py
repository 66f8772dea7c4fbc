"""The workers of a run as seen from one of them; one process alone needs no process group."""

from dataclasses import dataclass
from typing import Any

import torch.distributed as dist


@dataclass(frozen=True)
class Ranks:
    """This worker's number and what all workers do together."""

    rank: int = 0
    workers: int = 1

    @classmethod
    def current(cls) -> "Ranks":
        """Of the default process group, if there is one."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls()

    @property
    def is_first(self) -> bool:
        """Whether this is the worker that reports."""
        return self.rank == 0

    def gather(self, value: Any) -> list[Any]:
        """Every worker's value, in the order of ranks, on every worker."""
        if self.workers == 1:
            return [value]
        values: list[Any] = [None] * self.workers
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait until every worker is here."""
        if self.workers > 1:
            dist.barrier()
