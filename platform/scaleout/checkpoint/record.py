"""The record of a checkpoint, ``COMPLETE.json``. A resume ignores a folder without it."""

from collections.abc import Mapping
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
