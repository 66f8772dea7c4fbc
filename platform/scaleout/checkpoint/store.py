"""The store of checkpoints, which are either complete or ignored.

``STORAGE/RUN/checkpoints/step-00001000/`` contains the files of all workers, the weights as safetensors, and, written last,
``COMPLETE.json`` with the size and hash of every file. A resume ignores a folder without it.
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
from medvlp.json_values import parse_object
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.read import description, load_training_state
from scaleout.checkpoint.record import (
    COMPLETE_FILE,
    ENGINE_FOLDER,
    FORMAT_VERSION,
    WEIGHTS_FILE,
    CheckpointRecord,
    others_named,
    read_record,
)
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage

logger = logging.getLogger(__name__)

DAMAGED_FILE = "DAMAGED"
"""Marks a complete checkpoint that was found damaged: it is ignored from then on."""
_REMEDY = "restore it from a copy, or start under another --name"
PARTS_FOLDER = "parts"
"""Folder in which each worker lists what it has uploaded, while a checkpoint is being uploaded."""


class SetAsideError(Exception):
    """The newest checkpoint is damaged and is ignored: the next start of the workers uses the one before.

    Not a user error: it ends these workers, which have begun to read their samples at the wrong position.
    """


@dataclass(frozen=True)
class Written:
    """One worker's part of a checkpoint, on its local disk."""

    local: Path
    processes: ProcessGroup
    progress: Mapping[str, Any]
    attempt: str
    """Name of this attempt, the same on all workers and unique: a killed attempt may have left its parts in the same folder."""

    def part(self, rank: int) -> str:
        """Return the name of the file list that a worker writes when it has uploaded its files."""
        return f"{self.attempt}-{rank:05d}.json"


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run."""

    uri: str
    keep: int
    best_metric: str | None = None
    """See ``TrainConfig.best_metric``."""
    lease: Lease | None = None
    """The right to write here; None if no other process can write."""

    def newest(self) -> tuple[str, CheckpointRecord] | None:
        """Return URI and record of the complete checkpoint with the most steps; None if there is none.

        A checkpoint with a damaged ``COMPLETE.json`` is skipped.

        Raises:
            CheckpointError: there are complete checkpoints, and the ``COMPLETE.json`` of each is damaged.
        """
        damage: CheckpointError | None = None
        for name in reversed(self._complete()):
            try:
                return storage.join(self.uri, name), read_record(storage.join(self.uri, name))
            except DamagedCheckpointError as error:
                logger.warning("%s: the newest intact checkpoint before it is used", error)
                damage = damage or error
        if damage is not None:
            raise DamagedCheckpointError(f"{damage}, and there is no intact one before it: {_REMEDY}")
        return None

    def find(self, which: str) -> tuple[str, CheckpointRecord]:
        """Return URI and record of a complete checkpoint.

        Args:
            which: "last", "best" by the metric of this store, or a step number.

        Raises:
            CheckpointError: there is none; the message lists the existing ones.
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
                raise CheckpointError(f"the run of {self.uri} has no best checkpoint (train.best_metric was unset); choose last or a step")
            name = self._best(complete)
        else:
            name = f"step-{int(which):08d}" if which.isdecimal() else None
        if name not in complete:
            steps = ", ".join(str(int(each.removeprefix("step-"))) for each in complete)
            raise CheckpointError(f"there is no checkpoint {which!r} in {self.uri}; choose last, best or one of the steps {steps}")
        assert name is not None
        folder = storage.join(self.uri, name)
        with others_named(folder):
            return folder, read_record(folder)

    def resume(self, engine: Engine, folder: str, record: CheckpointRecord, processes: ProcessGroup) -> None:
        """Continue from the newest checkpoint, as ``load_training_state`` does; a damaged one is set aside if there is another.

        Raises:
            SetAsideError: the checkpoint was set aside; start again.
            CheckpointError: the run cannot continue from the checkpoint, and there is no other.
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
        # Every worker that finds the damage writes the same; nothing that another worker reads is deleted.
        storage.write_bytes(storage.join(folder, DAMAGED_FILE), damage.encode())
        raise SetAsideError(f"{damage}: it is set aside, and the run continues from {older[-1]}")

    def save(self, engine: Engine, processes: ProcessGroup, progress: Mapping[str, Any]) -> None:
        """Write a checkpoint and wait until it is complete. Called by all workers together.

        Args:
            engine: the training engine.
            processes: all workers.
            progress: the fields of ``CheckpointRecord`` except ``files``.
        """
        self.upload(self.write(engine, processes, progress))
        processes.barrier()

    def write(self, engine: Engine, processes: ProcessGroup, progress: Mapping[str, Any]) -> Written:
        """Write this worker's part of a checkpoint to the local disk. Called by all workers together.

        Args:
            engine: the training engine.
            processes: all workers.
            progress: as in ``save``.

        Raises:
            CheckpointError: the disk is full.
        """
        weights = engine.weights()
        local = Path(tempfile.gettempdir(), f"medvlp-checkpoint-{uuid.uuid4().hex}")
        try:
            local.mkdir(mode=0o700)
            engine.save(local / ENGINE_FOLDER)
            if processes.is_first:
                save_file(weights, local / WEIGHTS_FILE)
        except BaseException as error:
            full = _try_disk(local.parent)  # libraries that write in C++ do not report a full disk
            shutil.rmtree(local, ignore_errors=True)
            if full is None:
                raise
            raise CheckpointError(
                f"cannot write the checkpoint of step {progress['step']} below {local.parent}: {full.strerror}; free space there, or set "
                "TMPDIR to a larger disk, then run the same command again"
            ) from error
        attempt = processes.gather(uuid.uuid4().hex)[0]
        return Written(local, processes, progress, attempt)

    def upload(self, written: Written) -> None:
        """Upload this worker's part. Not collective: it may run during the next steps.

        The first worker waits for all parts, completes the checkpoint and deletes the oldest ones beyond ``keep``, except the best. One
        that ends with a skipped step does not count.

        Raises:
            DataError: the upload to storage failed.
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
        """Return the names of the complete checkpoints, ascending."""
        return [name for name in self._names() if _counts(storage.list_names(storage.join(self.uri, name)))]

    def _names(self) -> list[str]:
        return [name for name in storage.list_names(self.uri) if name.startswith("step-")]

    def _delete_old(self) -> None:
        complete = self._complete()
        # Steps are skipped when something is wrong with the weights: checkpoints of skipped steps must not displace those before them.
        counted = [name for name in complete if not self._ends_with_skipped_step(name)] or complete
        oldest_kept, best = counted[-self.keep :][0], self._best(complete)
        for name in self._names():
            if name < oldest_kept and name != best:
                # The completion file goes first: a kill in between leaves an incomplete folder, not a damaged one.
                storage.delete(storage.join(self.uri, name, COMPLETE_FILE))
                storage.delete(storage.join(self.uri, name))

    def _ends_with_skipped_step(self, name: str) -> bool:
        try:
            return read_record(storage.join(self.uri, name)).ends_with_skipped_step
        except CheckpointError:
            return False

    def _best(self, names: list[str]) -> str | None:
        """Return the best of these complete checkpoints, the newest if tied; None if no metric is known."""
        if self.best_metric is None:
            return None
        sign = -1.0 if self.best_metric.endswith("loss") else 1.0
        values = {name: self._validated(name) for name in names}
        known = [(sign * value, name) for name, value in values.items() if value is not None]
        return max(known)[1] if known else None

    def _validated(self, name: str) -> float | None:
        """Return the best-metric value of a checkpoint; None if it is unknown."""
        assert self.best_metric is not None
        try:
            value = read_record(storage.join(self.uri, name)).validation.get(self.best_metric)
        except CheckpointError:
            return None  # a damaged one is never the best; a resume from it reports the damage
        return value if value is not None and math.isfinite(value) else None


def _try_disk(folder: Path) -> OSError | None:
    """Return the error of writing a megabyte into ``folder``; None if there is none."""
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
    """Return the files of all workers, once each worker has uploaded its own."""
    expected = [written.part(rank) for rank in range(written.processes.workers)]
    seconds = 0.05
    while not set(expected) <= set(storage.list_names(parts)):
        time.sleep(seconds)
        seconds = min(2 * seconds, 2.0)
    lists = [parse_object(storage.read_bytes(storage.join(parts, name))) for name in expected]
    return {name: description for part in lists for name, description in part.items()}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
