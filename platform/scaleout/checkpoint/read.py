"""Reading checkpoints: only the files that are wanted, each compared with its record, and once on every node."""

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from medvlp.errors import CheckpointError, DamagedCheckpointError
from scaleout.checkpoint.record import COMPLETE_FILE, ENGINE_FOLDER, WEIGHTS_FILE, CheckpointRecord, read_record
from scaleout.checkpoint.universal import universal_engine_folder
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage

_OF_RANK = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_\d+_\w+\.pt")
"""DeepSpeed's names of what one rank alone reads."""


def read_weights(folder: str) -> dict[str, Tensor]:
    """The weights of a complete checkpoint, float32, by parameter. Nothing else of it is read.

    Raises:
        CheckpointError: the checkpoint is incomplete or damaged.
    """
    if not storage.exists(storage.join(folder, COMPLETE_FILE)):
        raise CheckpointError(f"{folder} is no complete checkpoint: {COMPLETE_FILE} is missing")
    with verified_copy(folder, read_record(folder), [WEIGHTS_FILE]) as local:
        return load_file(local / WEIGHTS_FILE)


def load_training_state(engine: Engine, folder: str, record: CheckpointRecord, processes: ProcessGroup) -> None:
    """Continue from a checkpoint, written by any number of workers. Called by all workers together.

    Raises:
        CheckpointError: it was written with another layout, or is damaged.
    """
    record.layout.check_readable_by(engine.layout, folder)
    resharded = record.is_resharded_for(processes.workers)
    with fetched(folder, record, processes, resharded=resharded) as local:
        if not resharded:
            engine.load(local / ENGINE_FOLDER)
            return
        with universal_engine_folder(local / ENGINE_FOLDER, processes) as universal:
            engine.load(universal)
        engine.set_frozen(load_file(local / WEIGHTS_FILE))


def fetched(folder: str, record: CheckpointRecord, processes: ProcessGroup, *, resharded: bool) -> AbstractContextManager[Path]:
    """A local folder with what the workers of this node load of a training state; all of it if it is ``resharded``.

    Called by all workers together: the first of every node fetches and compares the files, the others wait for it.

    Raises:
        CheckpointError: a file is missing or not what was written; on every worker.
    """
    mates = [rank for rank, node in enumerate(processes.gather(processes.node)) if node == processes.node]
    wanted = list(record.files) if resharded else training_files(record, mates)
    return processes.folder_for_node(lambda: verified_copy(folder, record, wanted))


def training_files(record: CheckpointRecord, processes: Collection[int]) -> list[str]:
    """The files of a training state that these ranks load: theirs, and what is of no rank."""

    def is_wanted(name: str) -> bool:
        of_rank = _OF_RANK.fullmatch(name.rpartition("/")[2])
        return name.startswith(f"{ENGINE_FOLDER}/") and (of_rank is None or int(of_rank[1]) in processes)

    return [name for name in record.files if is_wanted(name)]


@contextmanager
def verified_copy(folder: str, record: CheckpointRecord, names: Iterable[str] | None = None) -> Iterator[Path]:
    """A local folder with these files of a checkpoint, by default all, each compared with the record. Of a local one no copy is made.

    Raises:
        CheckpointError: a file is missing or not what was written.
    """
    names = list(record.files if names is None else names)
    with ExitStack() as stack:
        local = Path(folder)
        if storage.is_remote(folder):
            local = Path(stack.enter_context(TemporaryDirectory(prefix="medvlp-checkpoint-")))
            there = [name for name in names if name in record.files and storage.exists(storage.join(folder, name))]
            storage.download_files(folder, there, local)
        for name in names:
            path = local / name
            if name not in record.files or not path.exists() or description(path) != record.files[name]:
                what = "was altered" if name in record.files and path.exists() else "is missing"
                raise DamagedCheckpointError(f"{folder}: {name} {what}")
        yield local


def description(path: Path) -> dict[str, Any]:
    """What the record says of a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
