"""Checkpoints that either count as a whole or not at all.

``STORAGE/RUN/checkpoints/step-00001000/`` holds what every worker wrote, the weights as safetensors, and, written last,
``COMPLETE.json`` with the size and hash of every file. A folder without it does not exist for a resume.
"""

import hashlib
import json
import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from medvlp.errors import CheckpointError
from scaleout import storage
from scaleout.train.engine import Engine
from scaleout.train.ranks import Ranks
from scaleout.train.universal import universal_engine_folder

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
COMPLETE_FILE = "COMPLETE.json"
WEIGHTS_FILE = "weights.safetensors"
ENGINE_FOLDER = "engine"


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
    fingerprints: Mapping[str, str]
    """Of shards, links and knowledge."""
    files: Mapping[str, Mapping[str, Any]]
    """Bytes and sha256 by path inside the checkpoint."""

    def check_stage(self, folder: str, zero_stage: int) -> None:
        """Refuse to continue from ``folder`` with another ZeRO stage: each lays out the optimiser's state in its own way.

        Raises:
            CheckpointError: it is another one.
        """
        if self.zero_stage != zero_stage:
            raise CheckpointError(
                f"{folder} was written with ZeRO stage {self.zero_stage}, which stage {zero_stage} cannot read: "
                f"continue with --scale.zero_stage {self.zero_stage}"
            )

    def is_resharded_for(self, workers: int) -> bool:
        """Whether ``workers`` workers need its training state cut anew. Without ZeRO every worker has the whole."""
        return self.zero_stage > 0 and self.workers != workers


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one run."""

    uri: str
    keep: int

    def newest(self) -> tuple[str, CheckpointRecord] | None:
        """URI and record of the complete checkpoint with the most steps; None if there is none.

        Raises:
            CheckpointError: its ``COMPLETE.json`` is damaged.
        """
        for name in reversed(self._names()):
            folder = storage.join(self.uri, name)
            if storage.exists(storage.join(folder, COMPLETE_FILE)):
                return folder, read_record(folder)
        return None

    def save(self, engine: Engine, ranks: Ranks, progress: Mapping[str, Any]) -> None:
        """Write a checkpoint, all workers together, and delete the oldest beyond ``keep``.

        Args:
            progress: the fields of ``CheckpointRecord`` but ``files``.
        """
        folder = storage.join(self.uri, f"step-{progress['step']:08d}")
        weights = engine.weights()
        with tempfile.TemporaryDirectory(prefix="medvlp-checkpoint-") as temporary:
            local = Path(temporary)
            engine.save(local / ENGINE_FOLDER)
            if ranks.is_first:
                save_file(weights, local / WEIGHTS_FILE)
            mine = {path.relative_to(local).as_posix(): _description(path) for path in sorted(local.rglob("*")) if path.is_file()}
            storage.upload_folder(local, folder)
        files = {name: description for part in ranks.gather(mine) for name, description in part.items()}
        if ranks.is_first:
            record = CheckpointRecord(**progress, files=files)
            content = json.dumps({"version": FORMAT_VERSION, **asdict(record)}, indent=1)
            storage.write_bytes(storage.join(folder, COMPLETE_FILE), content.encode())
            self._delete_old()
        ranks.barrier()

    def _names(self) -> list[str]:
        return [name for name in storage.list_names(self.uri) if name.startswith("step-")]

    def _delete_old(self) -> None:
        complete = [name for name in self._names() if storage.exists(storage.join(self.uri, name, COMPLETE_FILE))]
        oldest_kept = complete[-self.keep :][0]
        for name in self._names():
            if name < oldest_kept:
                # First the file that makes it count: a kill in between leaves an incomplete folder, not a damaged one.
                storage.delete(storage.join(self.uri, name, COMPLETE_FILE))
                storage.delete(storage.join(self.uri, name))


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
        remedy = "delete this checkpoint to go on from the one before"
        raise CheckpointError(f"{folder}/{COMPLETE_FILE} is damaged ({error}); {remedy}") from error


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
                    raise CheckpointError(f"{folder}: {name} {what}; delete this checkpoint to go on from the one before")
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


def load_training_state(engine: Engine, folder: str, record: CheckpointRecord, ranks: Ranks, zero_stage: int) -> None:
    """Continue from a checkpoint, written by any number of workers. Called by all workers together.

    Raises:
        CheckpointError: it was written with another ZeRO stage, or is damaged.
    """
    record.check_stage(folder, zero_stage)
    with verified_copy(folder, record) as local:
        if not record.is_resharded_for(ranks.workers):
            engine.load(local / ENGINE_FOLDER)
            return
        with universal_engine_folder(local / ENGINE_FOLDER, ranks) as universal:
            engine.load(universal)
        engine.set_frozen(load_file(local / WEIGHTS_FILE))


def _description(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
