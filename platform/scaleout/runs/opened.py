"""A trained run, opened for evaluation, export, or as the start of another run."""

from dataclasses import dataclass
from functools import cached_property

from medvlp.errors import CheckpointError
from medvlp.interchange.model_folder import CONFIG_FILE
from scaleout.checkpoint.record import COMPLETE_FILE, CheckpointRecord, others_named, read_record
from scaleout.checkpoint.store import CheckpointStore
from scaleout.io import storage
from scaleout.io.artefacts import instead
from scaleout.runs.config import RunConfig
from scaleout.runs.record import CHECKPOINTS_FOLDER, RUN_FILE, RunRecord, load_run


@dataclass(frozen=True, kw_only=True)
class OpenedRun:
    """A run and one of its complete checkpoints."""

    record: RunRecord
    folder: str
    """URI of the run."""
    checkpoint: str
    """URI of the checkpoint."""
    progress: CheckpointRecord

    @classmethod
    def open(cls, uri: str, checkpoint: str = "last") -> "OpenedRun":
        """Open the run at ``uri`` with one of its complete checkpoints, or the checkpoint at ``uri`` with its run.

        Args:
            uri: URI of a run or of a checkpoint.
            checkpoint: checkpoint of the run: "last", "best" (by ``train.best_metric``) or a step number.

        Raises:
            CheckpointError: there is no such run or checkpoint; the message lists the existing ones.
        """
        uri = storage.absolute(uri)
        if storage.exists(storage.join(uri, COMPLETE_FILE)):
            folder = uri.rsplit(f"/{CHECKPOINTS_FOLDER}/", 1)[0]
            with others_named(uri):
                return cls(record=_record(folder), folder=folder, checkpoint=uri, progress=read_record(uri))
        record = _record(uri)
        train = record.config.get("train")
        metric = train.get("best_metric") if isinstance(train, dict) else None
        found = CheckpointStore(storage.join(uri, CHECKPOINTS_FOLDER), keep=1, best_metric=metric).find(checkpoint)
        return cls(record=record, folder=uri, checkpoint=found[0], progress=found[1])

    @cached_property
    def config(self) -> RunConfig:
        """Return the configuration of the run.

        Raises:
            CheckpointError: the run was made by another version of this code.
        """
        return self.record.open_config(RunConfig, self.folder)


def _record(folder: str) -> RunRecord:
    record = load_run(folder)
    if record is not None:
        return record
    if storage.exists(storage.join(folder, COMPLETE_FILE)):
        raise CheckpointError(f"{folder} is a checkpoint without its run: give the one in STORAGE/RUN/{CHECKPOINTS_FOLDER}")
    if storage.exists(storage.join(folder, CONFIG_FILE)):
        raise CheckpointError(
            f"{folder} is a model folder, not a run: give it to jobs/pretrain.py or jobs/finetune.py as --start_from, "
            "or to jobs/evaluate.py as --model"
        )
    raise CheckpointError(
        f"there is no run at {folder} ({RUN_FILE} is missing){instead(folder)}; give the folder STORAGE/RUN, or a checkpoint in it"
    )
