"""Checkpoints that either count as a whole or not at all.

``STORAGE/RUN/checkpoints/step-00001000/`` holds what every worker wrote, the weights as safetensors, and, written last,
``COMPLETE.json`` with the size and hash of every file. A folder without it does not exist for a resume.
"""

import json
import logging
import math
import shutil
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from medvlp.errors import CheckpointError, DamagedCheckpointError
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.read import description, load_training_state
from scaleout.checkpoint.record import COMPLETE_FILE, ENGINE_FOLDER, FORMAT_VERSION, WEIGHTS_FILE, CheckpointRecord, read_record
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage

logger = logging.getLogger(__name__)

DAMAGED_FILE = "DAMAGED"
"""Marks a complete checkpoint that was found damaged: it no longer counts."""
_REMEDY = "restore it from a copy, or start under another --name"
PARTS_FOLDER = "parts"
"""Where each worker says what it has uploaded, while a checkpoint is on its way."""


class SetAsideError(Exception):
    """The newest checkpoint is damaged and no longer counts: the next start of the workers takes the one before.

    Not an error of the user's: it ends these workers, which have begun to read their samples at the wrong position.
    """


@dataclass(frozen=True)
class Written:
    """One worker's part of a checkpoint, on its local disk."""

    local: Path
    processes: ProcessGroup
    progress: Mapping[str, Any]
    attempt: str
    """The same on all workers, and only once: a killed attempt may have left its parts in the same folder."""

    def part(self, rank: int) -> str:
        """Name of the list of files that a worker writes when it has uploaded them."""
        return f"{self.attempt}-{rank:05d}.json"


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run."""

    uri: str
    keep: int
    best_metric: str | None = None
    """See ``TrainConfig.best_metric``."""
    lease: Lease | None = None
    """The right to write here; without one nobody else can."""

    def newest(self) -> tuple[str, CheckpointRecord] | None:
        """URI and record of the complete checkpoint with the most steps; None if there is none.

        One whose ``COMPLETE.json`` is damaged is passed over.

        Raises:
            CheckpointError: there are complete checkpoints, and the ``COMPLETE.json`` of each is damaged.
        """
        damage: CheckpointError | None = None
        for name in reversed(self._complete()):
            try:
                return storage.join(self.uri, name), read_record(storage.join(self.uri, name))
            except DamagedCheckpointError as error:
                logger.warning("%s", error)
                damage = damage or error
        if damage is not None:
            raise DamagedCheckpointError(f"{damage}, and there is no sound one before it: {_REMEDY}")
        return None

    def find(self, which: str) -> tuple[str, CheckpointRecord]:
        """URI and record of a complete checkpoint.

        Args:
            which: "last"; "best" by the metric of this store; or the number of a step.

        Raises:
            CheckpointError: there is none; the message says which ones there are.
        """
        newest = self.newest()
        if newest is None:
            raise CheckpointError(
                f"there is no complete checkpoint in {self.uri} yet; wait for the first one, or lower train.checkpoint_every"
            )
        if which == "last":
            return newest
        complete = self._complete()
        if which == "best":
            if self.best_metric is None:
                raise CheckpointError(f"the run of {self.uri} kept no best checkpoint (train.best_metric was not set); take last or a step")
            name = self._best(complete)
        else:
            name = f"step-{int(which):08d}" if which.isdecimal() else None
        if name not in complete:
            steps = ", ".join(str(int(each.removeprefix("step-"))) for each in complete)
            raise CheckpointError(f"there is no checkpoint {which!r} in {self.uri}; take last, best or one of the steps {steps}")
        assert name is not None
        folder = storage.join(self.uri, name)
        return folder, read_record(folder)

    def resume(self, engine: Engine, folder: str, record: CheckpointRecord, processes: ProcessGroup) -> None:
        """Continue from the newest checkpoint, as ``load_training_state`` does; a damaged one is set aside if there is another.

        Raises:
            SetAsideError: it was; start again.
            CheckpointError: it cannot be continued from, and there is no other.
        """
        try:
            load_training_state(engine, folder, record, processes)
        except DamagedCheckpointError as error:
            damage = str(error)
        else:
            return
        older = [name for name in self._complete() if name < storage.base_name(folder)]
        if not older:
            raise DamagedCheckpointError(f"{damage}, and there is no checkpoint before it: {_REMEDY}")
        self._check_lease()
        # Every worker that finds it writes the same; nothing is deleted that another one reads.
        storage.write_bytes(storage.join(folder, DAMAGED_FILE), damage.encode())
        raise SetAsideError(f"{damage}: it is set aside, and the run goes on from {older[-1]}")

    def save(self, engine: Engine, processes: ProcessGroup, progress: Mapping[str, Any]) -> None:
        """Write a checkpoint and wait until it counts. Called by all workers together.

        Args:
            engine: what trains.
            processes: all workers.
            progress: the fields of ``CheckpointRecord`` but ``files``.
        """
        self.upload(self.write(engine, processes, progress))
        processes.barrier()

    def write(self, engine: Engine, processes: ProcessGroup, progress: Mapping[str, Any]) -> Written:
        """Write this worker's part of a checkpoint to the local disk. Called by all workers together.

        Args:
            engine: what trains.
            processes: all workers.
            progress: as in ``save``.

        Raises:
            CheckpointError: the disk takes nothing more.
        """
        weights = engine.weights()
        local = Path(tempfile.gettempdir(), f"medvlp-checkpoint-{uuid.uuid4().hex}")
        try:
            local.mkdir(mode=0o700)
            engine.save(local / ENGINE_FOLDER)
            if processes.is_first:
                save_file(weights, local / WEIGHTS_FILE)
        except BaseException as error:
            full = _try_disk(local.parent)  # libraries that write in C++ do not say that the disk is full
            shutil.rmtree(local, ignore_errors=True)
            if full is None:
                raise
            raise CheckpointError(
                f"cannot write the checkpoint of step {progress['step']} below {local.parent}: {full.strerror}; make room there, or set "
                "TMPDIR to a disk with more, then the same command goes on"
            ) from error
        attempt = processes.gather(uuid.uuid4().hex)[0]
        return Written(local, processes, progress, attempt)

    def upload(self, written: Written) -> None:
        """Upload this worker's part. Not collective: it may run beside the next steps.

        The first worker waits for all parts, makes them count and deletes the oldest checkpoints beyond ``keep`` but the best one.

        Raises:
            DataError: storage does not take it.
            TrainingError: another run has taken the name of this one; nothing was written.
        """
        folder = storage.join(self.uri, f"step-{written.progress['step']:08d}")
        try:
            self._check_lease()
            files = {path.relative_to(written.local).as_posix(): description(path) for path in _files(written.local)}
            storage.upload_folder(written.local, folder)
        finally:
            shutil.rmtree(written.local)
        parts = storage.join(folder, PARTS_FOLDER)
        storage.write_bytes(storage.join(parts, written.part(written.processes.rank)), json.dumps(files).encode())
        if written.processes.is_first:
            content = {"version": FORMAT_VERSION, **asdict(CheckpointRecord(**written.progress, files=_joined(parts, written)))}
            storage.delete(parts)
            self._check_lease()
            storage.write_bytes(storage.join(folder, COMPLETE_FILE), json.dumps(content, indent=1).encode())
            storage.delete(storage.join(folder, DAMAGED_FILE))
            self._delete_old()

    def _check_lease(self) -> None:
        if self.lease is not None:
            self.lease.check()

    def _complete(self) -> list[str]:
        """Names of the checkpoints that count, ascending."""
        return [name for name in self._names() if _counts(storage.list_names(storage.join(self.uri, name)))]

    def _names(self) -> list[str]:
        return [name for name in storage.list_names(self.uri) if name.startswith("step-")]

    def _delete_old(self) -> None:
        complete = self._complete()
        oldest_kept, best = complete[-self.keep :][0], self._best(complete)
        for name in self._names():
            if name < oldest_kept and name != best:
                # First the file that makes it count: a kill in between leaves an incomplete folder, not a damaged one.
                storage.delete(storage.join(self.uri, name, COMPLETE_FILE))
                storage.delete(storage.join(self.uri, name))

    def _best(self, names: list[str]) -> str | None:
        """The newest of the best of these complete checkpoints; None if nothing is known of any."""
        if self.best_metric is None:
            return None
        sign = -1.0 if self.best_metric.endswith("loss") else 1.0
        values = {name: self._validated(name) for name in names}
        known = [(sign * value, name) for name, value in values.items() if value is not None]
        return max(known)[1] if known else None

    def _validated(self, name: str) -> float | None:
        """The value of the metric that decides, of a checkpoint; None if it is not known."""
        assert self.best_metric is not None
        try:
            value = read_record(storage.join(self.uri, name)).validation.get(self.best_metric)
        except CheckpointError:
            return None  # a damaged one is nobody's best; a resume from it says more
        return value if value is not None and math.isfinite(value) else None


def _try_disk(folder: Path) -> OSError | None:
    """The error of writing a megabyte into ``folder``; None if there is none."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(1 << 20))
            file.flush()
    except OSError as error:
        return error
    return None


def _counts(names: list[str]) -> bool:
    return COMPLETE_FILE in names and DAMAGED_FILE not in names


def _joined(parts: str, written: Written) -> dict[str, dict[str, Any]]:
    """The files of all workers, as soon as each has uploaded its own."""
    expected = [written.part(rank) for rank in range(written.processes.workers)]
    seconds = 0.05
    while not set(expected) <= set(storage.list_names(parts)):
        time.sleep(seconds)
        seconds = min(2 * seconds, 2.0)
    lists = [json.loads(storage.read_bytes(storage.join(parts, name))) for name in expected]
    return {name: description for part in lists for name, description in part.items()}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
