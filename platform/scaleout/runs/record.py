"""A run is its name: what ``STORAGE/RUN/run.json`` remembers, and whether the same name may go on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.store import CheckpointStore
from scaleout.cli import to_dict
from scaleout.engine.process_group import ProcessGroup
from scaleout.io import storage
from scaleout.runs.config import RunConfig
from scaleout.train.hooks.ledger import Ledger

FORMAT_VERSION = 1
RUN_FILE = "run.json"
CHECKPOINTS_FOLDER = "checkpoints"
LEDGER_FOLDER = "samples"

_MAY_CHANGE = (
    *("name", "storage", "knowledge", "data.shards", "data.links", "data.mixed_with", "data.tokenizer"),
    *("scale.", "tracking.", "data.ahead", "data.bad_samples"),
    *("train.log_every", "train.validate_every", "train.checkpoint_every", "train.keep_checkpoints"),
    *("train.checkpoint_minutes", "train.best_metric"),
    *("train.maximum_skipped_steps", "train.watchdog_minutes", "train.ledger"),
)
"""What a resumed run may have otherwise: where things lie (their fingerprints count instead), who works, what is borne and told."""


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is remembered of a run."""

    kind: str
    """What is trained: "pretrain", "finetune"."""
    config: Mapping[str, Any]
    """Resolved configuration."""
    fingerprints: Mapping[str, str]
    """Of shards, links, knowledge and tokenizer."""
    mlflow_run: str
    details: Mapping[str, Any] = field(default_factory=dict)
    """What was derived from the data and is needed to use the model: of question answering, the answers."""

    def check_same(self, kind: str, config: RunConfig, fingerprints: Mapping[str, str], where: str) -> None:
        """Refuse to go on under this name with something else.

        Raises:
            ConfigurationError: kind, configuration or data differ; the message says in what.
        """
        old = _identity(self.kind, self.config, self.fingerprints)
        new = _identity(kind, to_dict(config), fingerprints)
        changed = [f"{name}: was {old.get(name)!r}, now {new.get(name)!r}" for name in sorted(old | new) if old.get(name) != new.get(name)]
        if changed:
            raise ConfigurationError(
                f"{where} holds a run with another configuration; take another --name, or go back to: " + "; ".join(changed)
            )


def run_folder(config: RunConfig) -> str:
    """URI of the folder of a run."""
    return storage.join(config.storage, config.name)


def checkpoint_store(config: RunConfig, lease: Lease | None = None) -> CheckpointStore:
    """The checkpoints of a run; who writes some needs a lease, if others may start the run too."""
    uri = storage.join(run_folder(config), CHECKPOINTS_FOLDER)
    return CheckpointStore(uri, config.train.keep_checkpoints, config.train.best_metric, lease)


def open_ledger(config: RunConfig, processes: ProcessGroup) -> Ledger | None:
    """A worker's record of what it consumes, if one is kept."""
    return Ledger(storage.join(run_folder(config), LEDGER_FOLDER), processes) if config.train.ledger else None


def load_run(folder: str) -> RunRecord | None:
    """The record of a run; None if there is no such run.

    Raises:
        CheckpointError: it is damaged or of another version.
    """
    uri = storage.join(folder, RUN_FILE)
    if not storage.exists(uri):
        return None
    try:
        record = json.loads(storage.read_bytes(uri))
        if record.pop("version") != FORMAT_VERSION:
            raise ValueError("another version")
        return RunRecord(**record)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{uri} is damaged ({error}); start under another name") from error


def create_run(folder: str, record: RunRecord) -> None:
    """Write the record of a new run.

    Raises:
        ConfigurationError: somebody else started a run under this name just now.
    """
    content = json.dumps({"version": FORMAT_VERSION, **asdict(record)}, indent=1).encode()
    if not storage.create_exclusively(storage.join(folder, RUN_FILE), content):
        raise ConfigurationError(f"another run was started under {folder} at this moment; take another --name")


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested configuration as dotted names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat


def _identity(kind: str, config: Mapping[str, Any], fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """What makes a run the same run, as flat names and values."""
    decisive = {name: value for name, value in flatten(config).items() if not name.startswith(_MAY_CHANGE)}
    return {"kind": kind, **decisive, **{f"fingerprint of {name}": value for name, value in fingerprints.items()}}
