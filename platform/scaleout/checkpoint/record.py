"""What ``COMPLETE.json`` says of a checkpoint. A folder without it does not exist for a resume."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medvlp.errors import DamagedCheckpointError
from scaleout.engine.layout import Layout, Precision
from scaleout.io import storage

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
        """Whether ``workers`` workers need its training state resharded. Without ZeRO every worker has the whole."""
        return self.zero_stage > 0 and self.workers != workers


def read_record(folder: str) -> CheckpointRecord:
    """The record of a complete checkpoint.

    Raises:
        CheckpointError: it is damaged, or of another version.
    """
    try:
        record = json.loads(storage.read_bytes(storage.join(folder, COMPLETE_FILE)))
        if record.pop("version") != FORMAT_VERSION:
            raise ValueError("another version")
        found = CheckpointRecord(**record)
        for name in found.files:
            if not storage.is_below(name):
                raise ValueError(f"{name!r} lies outside of it")
        return found
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCheckpointError(f"{folder}/{COMPLETE_FILE} is damaged ({error})") from error
