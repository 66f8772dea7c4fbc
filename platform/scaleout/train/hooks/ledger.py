"""The samples that a run consumed at each step: for audits, and to prove that an interrupted run saw the same samples."""

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
"""Sample keys of the micro-batches of a step, by micro-batch number."""


@dataclass
class Ledger:
    """The ledger of one worker. Its entries before and after an interruption agree: the stream is the same."""

    folder: str
    """URI of the folder of all workers' files."""
    processes: ProcessGroup
    _steps: dict[int, Step] = field(default_factory=dict)

    def add(self, step: int, micro_batches: Iterable[MicroBatch]) -> None:
        """Record what this worker consumed in step ``step`` of the run."""
        self._steps[step] = {micro.number: list(micro.batch.keys) for micro in micro_batches}

    def write(self) -> None:
        """Write the steps since the last call to a new file."""
        if self._steps:
            name = f"step-{max(self._steps):09d}-rank-{self.processes.rank:05d}.json"
            storage.write_bytes(storage.join(self.folder, name), json.dumps(self._steps).encode())
            self._steps = {}


def open_ledger(config: RunConfig, processes: ProcessGroup) -> Ledger | None:
    """Open a worker's ledger, if the run keeps one."""
    return Ledger(storage.join(run_folder(config), LEDGER_FOLDER), processes) if config.train.ledger else None
