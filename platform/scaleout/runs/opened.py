"""A run that has trained, opened for what comes after: fine-tuning and export."""

from dataclasses import dataclass
from typing import TypeVar

from medvlp.configuration import from_plain
from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.checkpoint.store import COMPLETE_FILE, CheckpointRecord, CheckpointStore, read_record
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.runs.record import CHECKPOINTS_FOLDER, RunRecord, load_run

Config = TypeVar("Config", bound=RunConfig)


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
    def open(cls, uri: str) -> "OpenedRun":
        """The run at ``uri`` with its newest complete checkpoint, or the checkpoint at ``uri`` with its run.

        Raises:
            CheckpointError: there is no such run, or it has no complete checkpoint yet.
        """
        uri = storage.absolute(uri)
        if storage.exists(storage.join(uri, COMPLETE_FILE)):
            folder = uri.rsplit(f"/{CHECKPOINTS_FOLDER}/", 1)[0]
            return cls(record=_record(folder), folder=folder, checkpoint=uri, progress=read_record(uri))
        record = _record(uri)
        newest = CheckpointStore(storage.join(uri, CHECKPOINTS_FOLDER), keep=1).newest()
        if newest is None:
            raise CheckpointError(f"run {uri} has no complete checkpoint yet; wait for its first one, or lower train.checkpoint_every")
        return cls(record=record, folder=uri, checkpoint=newest[0], progress=newest[1])

    def config(self, kind: type[Config]) -> Config:
        """Its configuration.

        Raises:
            CheckpointError: the run was made by another version of this code.
        """
        try:
            return from_plain(kind, self.record.config)
        except ConfigurationError as error:
            raise CheckpointError(f"the configuration of run {self.folder} cannot be read: {error}") from error


def _record(folder: str) -> RunRecord:
    record = load_run(folder)
    if record is None:
        raise CheckpointError(f"there is no run at {folder} (run.json is missing); name the folder STORAGE/RUN, or a checkpoint in it")
    return record
