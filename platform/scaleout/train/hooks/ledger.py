"""Which samples a run consumed, step by step: for audits, and to prove that an interrupted run saw what an unbroken one sees."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.record import run_folder
from scaleout.stream.batches import MicroBatch

LEDGER_FOLDER = "samples"
Step = dict[int, list[str]]
"""Sample keys of the micro-batches of a step, by their number."""


@dataclass
class Ledger:
    """One worker's. What it wrote before a run was interrupted and what it writes after agree: the stream is the same."""

    folder: str
    """URI of the folder of all workers' files."""
    processes: ProcessGroup
    _steps: dict[int, Step] = field(default_factory=dict)

    def add(self, step: int, micro_batches: Iterable[MicroBatch]) -> None:
        """Note what this worker consumed in step ``step`` of the run."""
        self._steps[step] = {micro.number: list(micro.batch.keys) for micro in micro_batches}

    def write(self) -> None:
        """Write the steps since the last call as a file of their own."""
        if self._steps:
            name = f"step-{max(self._steps):09d}-rank-{self.processes.rank:05d}.json"
            storage.write_bytes(storage.join(self.folder, name), json.dumps(self._steps).encode())
            self._steps = {}


def open_ledger(config: RunConfig, processes: ProcessGroup) -> Ledger | None:
    """A worker's record of what it consumes, if one is kept."""
    return Ledger(storage.join(run_folder(config), LEDGER_FOLDER), processes) if config.train.ledger else None
