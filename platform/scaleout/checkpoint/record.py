"""The record of a checkpoint, ``COMPLETE.json``. A resume ignores a folder without it."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from medvlp.errors import DamagedCheckpointError
from medvlp.json_values import parse_object, typed
from scaleout.engine.layout import Layout, Precision
from scaleout.io import storage

FORMAT_VERSION = 1
COMPLETE_FILE = "COMPLETE.json"
WEIGHTS_FILE = "weights.safetensors"
ENGINE_FOLDER = "engine"
_STEP = re.compile(r"step-\d+")


@dataclass(frozen=True, kw_only=True)
class CheckpointRecord:
    """The content of ``COMPLETE.json``."""

    step: int
    """Number of finished optimiser steps."""
    position: int
    """Number of consumed samples of the stream."""
    skipped: int
    """Number of these samples that could not be decoded."""
    skipped_steps: int = 0
    """Number of steps with a non-finite gradient."""
    ends_with_skipped_step: bool = False
    """Whether the last step was skipped: then the weights are those of an earlier step."""
    workers: int
    zero_stage: int
    precision: Precision = "fp32"
    fingerprints: Mapping[str, str]
    """Fingerprints of shards, links and knowledge."""
    files: Mapping[str, Mapping[str, Any]]
    """Bytes and sha256 by path inside the checkpoint."""
    validation: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the validation at this step, if there was one."""

    @property
    def layout(self) -> Layout:
        """The layout of the training state."""
        return Layout(self.zero_stage, self.precision)

    def is_resharded_for(self, workers: int) -> bool:
        """Return whether ``workers`` workers need the training state resharded. Without ZeRO every worker has the whole state."""
        return self.zero_stage > 0 and self.workers != workers


@contextmanager
def others_named(folder: str) -> Iterator[None]:
    """Complete the message about a damaged checkpoint in ``folder``: how to use another one of its run."""
    try:
        yield
    except DamagedCheckpointError as error:
        run, _, own = folder.rpartition("/")
        names = [name for name in storage.list_names(run) if _STEP.fullmatch(name) and name != own]
        steps = [str(int(name[len("step-") :])) for name in names if storage.exists(storage.join(run, name, COMPLETE_FILE))]
        option = "--start_checkpoint (jobs/evaluate.py and jobs/export.py: --checkpoint)"
        remedy = f"or name another one of its run with {option}: {', '.join(steps)}" if steps else "its run has no other one"
        raise DamagedCheckpointError(f"{error}; restore the checkpoint from a copy, {remedy}") from error


def read_record(folder: str) -> CheckpointRecord:
    """Read the record of a complete checkpoint.

    Raises:
        CheckpointError: the record is damaged, or of another version.
    """
    try:
        record = parse_object(storage.read_bytes(storage.join(folder, COMPLETE_FILE)))
        if record.get("version") != FORMAT_VERSION:
            raise ValueError("another version")
        found = typed(CheckpointRecord, record)
        for name in found.files:
            if not storage.is_below(name):
                raise ValueError(f"{name!r} lies outside of it")
        return found
    except ValueError as error:
        raise DamagedCheckpointError(f"{folder}/{COMPLETE_FILE} is damaged ({error})") from error
