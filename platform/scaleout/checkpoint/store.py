"""Checkpoints that either count as a whole or not at all.

``STORAGE/RUN/checkpoints/step-00001000/`` holds what every worker wrote, the weights as safetensors, and, written last,
``COMPLETE.json`` with the size and hash of every file. A folder without it does not exist for a resume.
"""

import hashlib
import json
import logging
import math
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from medvlp.errors import CheckpointError, DamagedCheckpointError
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.universal import universal_engine_folder
from scaleout.engine.base import Engine
from scaleout.engine.layout import Layout, Precision
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
COMPLETE_FILE = "COMPLETE.json"
DAMAGED_FILE = "DAMAGED"
"""Marks a complete checkpoint that was found damaged: it no longer counts."""
WEIGHTS_FILE = "weights.safetensors"
ENGINE_FOLDER = "engine"
_REMEDY = "bring it back from a copy, or start under another --name"
PARTS_FOLDER = "parts"
"""Where each worker says what it has brought, while a checkpoint is on its way."""


class SetAsideError(Exception):
    """The newest checkpoint is damaged and no longer counts: the next start of the workers takes the one before.

    Not an error of the user's: it ends these workers, which have begun to read their samples at the wrong position.
    """


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """What ``COMPLETE.json`` says."""

    step: int
    """Optimiser steps done."""
    position: int
    """Samples of the stream consumed."""
    skipped: int
    """Samples of them that did not decode."""
    skipped_steps: int = 0
    """Steps whose gradient was not finite."""
    workers: int
    zero_stage: int
    precision: Precision = "fp32"
    fingerprints: Mapping[str, str]
    """Of shards, links and knowledge."""
    files: Mapping[str, Mapping[str, Any]]
    """Bytes and sha256 by path inside the checkpoint."""
    validation: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the validation at this step, if there was one."""

    @property
    def layout(self) -> Layout:
        """Of the training state."""
        return Layout(self.zero_stage, self.precision)

    def is_resharded_for(self, workers: int) -> bool:
        """Whether ``workers`` workers need its training state cut anew. Without ZeRO every worker has the whole."""
        return self.zero_stage > 0 and self.workers != workers


@dataclass(frozen=True)
class Written:
    """One worker's part of a checkpoint, on its local disk."""

    local: Path
    processes: ProcessGroup
    progress: Mapping[str, Any]
    attempt: str
    """The same on all workers, and only once: a killed attempt may have left its parts in the same folder."""

    def part(self, rank: int) -> str:
        """Name of the list of files that a worker writes when it has brought them."""
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
        """URI and record of the complete checkpoint with the most steps; None if there is none. One whose ``COMPLETE.json`` is
        damaged is passed over.

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
            progress: the fields of ``CheckpointRecord`` but ``files``.
        """
        self.bring(self.write(engine, processes, progress))
        processes.barrier()

    def write(self, engine: Engine, processes: ProcessGroup, progress: Mapping[str, Any]) -> Written:
        """Write this worker's part of a checkpoint to the local disk. Called by all workers together.

        Args:
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
            full = _try_disk(local.parent)  # libraries that write in C++ do not tell that the disk is full
            shutil.rmtree(local, ignore_errors=True)
            if full is None:
                raise
            raise CheckpointError(
                f"cannot write the checkpoint of step {progress['step']} below {local.parent}: {full.strerror}; make room there, or set "
                "TMPDIR to a disk with more, then the same command goes on"
            ) from error
        attempt = processes.gather(uuid.uuid4().hex)[0]
        return Written(local, processes, progress, attempt)

    def bring(self, written: Written) -> None:
        """Bring this worker's part to storage; the first worker waits for all parts, makes them count and deletes the oldest
        checkpoints beyond ``keep`` but the best one. Not collective: it may run beside the next steps.

        Raises:
            DataError: storage does not take it.
            TrainingError: another run has taken the name of this one; nothing was written.
        """
        folder = storage.join(self.uri, f"step-{written.progress['step']:08d}")
        try:
            self._check_lease()
            files = {path.relative_to(written.local).as_posix(): _description(path) for path in _files(written.local)}
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


def read_record(folder: str) -> CheckpointRecord:
    """The record of a complete checkpoint.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    try:
        record = json.loads(storage.read_bytes(storage.join(folder, COMPLETE_FILE)))
        if record.pop("version") != FORMAT_VERSION:
            raise ValueError("another version")
        return CheckpointRecord(**record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpointError(f"{folder}/{COMPLETE_FILE} is damaged ({error})") from error


@contextmanager
def verified_copy(folder: str, record: CheckpointRecord, names: str = "") -> Iterator[Path]:
    """A local folder with the files of a checkpoint whose path starts with ``names``, each checked against the record.

    Raises:
        CheckpointError: a file is missing or not what was written.
    """
    with storage.local_copy(folder) as local:
        for name, description in record.files.items():
            if name.startswith(names):
                path = local / name
                if not path.exists() or _description(path) != description:
                    what = "was altered" if path.exists() else "is missing"
                    raise DamagedCheckpointError(f"{folder}: {name} {what}")
        yield local


def read_weights(folder: str) -> dict[str, Tensor]:
    """The weights of a complete checkpoint, float32, by parameter.

    Raises:
        CheckpointError: the checkpoint is incomplete or damaged.
    """
    if not storage.exists(storage.join(folder, COMPLETE_FILE)):
        raise CheckpointError(f"{folder} is no complete checkpoint: {COMPLETE_FILE} is missing")
    with verified_copy(folder, read_record(folder), WEIGHTS_FILE) as local:
        return load_file(local / WEIGHTS_FILE)


def load_training_state(engine: Engine, folder: str, record: CheckpointRecord, processes: ProcessGroup) -> None:
    """Continue from a checkpoint, written by any number of workers. Called by all workers together.

    Raises:
        CheckpointError: it was written with another layout, or is damaged.
    """
    record.layout.check_readable_by(engine.layout, folder)
    with verified_copy(folder, record) as local:
        if not record.is_resharded_for(processes.workers):
            engine.load(local / ENGINE_FOLDER)
            return
        with universal_engine_folder(local / ENGINE_FOLDER, processes) as universal:
            engine.load(universal)
        engine.set_frozen(load_file(local / WEIGHTS_FILE))


def _try_disk(folder: Path) -> OSError | None:
    """What stands against writing a megabyte in ``folder``."""
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
    """The files of all workers, as soon as each has brought its own."""
    expected = [written.part(rank) for rank in range(written.processes.workers)]
    seconds = 0.05
    while not set(expected) <= set(storage.list_names(parts)):
        time.sleep(seconds)
        seconds = min(2 * seconds, 2.0)
    lists = [json.loads(storage.read_bytes(storage.join(parts, name))) for name in expected]
    return {name: description for part in lists for name, description in part.items()}


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _description(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
