"""Read checkpoints: only the files that are needed, each compared with its record, and once per node."""

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
from scaleout.checkpoint.record import COMPLETE_FILE, ENGINE_FOLDER, WEIGHTS_FILE, CheckpointRecord, others_named, read_record
from scaleout.checkpoint.universal import universal_engine_folder
from scaleout.engine.base import Engine
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage

_OF_RANK = re.compile(r"(?:bf16_|fp16_)?zero_pp_rank_(\d+)_mp_rank_\d+_\w+\.pt")
"""DeepSpeed's names of the files that only one rank reads."""


def read_weights(folder: str) -> dict[str, Tensor]:
    """Read only the weights of a complete checkpoint, float32, by parameter.

    Raises:
        CheckpointError: the checkpoint is incomplete or damaged.
    """
    if not storage.exists(storage.join(folder, COMPLETE_FILE)):
        raise CheckpointError(f"{folder} is not a complete checkpoint: {COMPLETE_FILE} is missing")
    with others_named(folder), verified_copy(folder, read_record(folder), [WEIGHTS_FILE]) as local:
        return load_file(local / WEIGHTS_FILE)


def load_training_state(engine: Engine, folder: str, record: CheckpointRecord, processes: ProcessGroup) -> None:
    """Continue from a checkpoint, written by any number of workers. Called by all workers together.

    Raises:
        CheckpointError: the checkpoint was written with another layout, or is damaged.
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

    Called by all workers together: the first worker of every node fetches and checks the files, the others wait.

    Raises:
        CheckpointError: a file is missing or was changed; on every worker.
    """
    mates = [rank for rank, node in enumerate(processes.gather(processes.node)) if node == processes.node]
    wanted = list(record.files) if resharded else training_files(record, mates)
    return processes.folder_for_node(lambda: verified_copy(folder, record, wanted))


def training_files(record: CheckpointRecord, processes: Collection[int]) -> list[str]:
    """Return the files of a training state that these ranks load: their own, and the shared ones."""

    def is_wanted(name: str) -> bool:
        of_rank = _OF_RANK.fullmatch(name.rpartition("/")[2])
        return name.startswith(f"{ENGINE_FOLDER}/") and (of_rank is None or int(of_rank[1]) in processes)

    return [name for name in record.files if is_wanted(name)]


@contextmanager
def verified_copy(folder: str, record: CheckpointRecord, names: Iterable[str] | None = None) -> Iterator[Path]:
    """Yield a local folder with these files of a checkpoint, by default all, each compared with the record; local files are not copied.

    Raises:
        CheckpointError: a file is missing or was changed.
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
    """Return the record entry for a file."""
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
