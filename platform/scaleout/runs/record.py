"""A run is its name: what ``STORAGE/RUN/run.json`` remembers, and whether the same name may go on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from medvlp.configuration import choices, from_plain, to_plain
from medvlp.errors import CheckpointError, ConfigurationError
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.store import CheckpointStore
from scaleout.io import storage
from scaleout.runs.config import MAY_CHANGE, MAY_GROW, RunConfig

FORMAT_VERSION = 2
RUN_FILE = "run.json"
CHECKPOINTS_FOLDER = "checkpoints"

Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """What is remembered of a run."""

    kind: str
    """What runs: the name of its task, or "sweep"."""
    config: Mapping[str, Any]
    """Resolved configuration, as plain values."""
    fingerprints: Mapping[str, str]
    """Of shards, links, knowledge and tokenizer."""
    mlflow_run: str
    targets: Mapping[str, Any] = field(default_factory=dict)
    """See ``Task.targets``."""
    extended: tuple[int, ...] = ()
    """Every ``train.max_steps`` that was raised, in order: up to the first of them the learning rates followed its schedule."""

    def open_config(self, kind: type[Config], where: str) -> Config:
        """The configuration; a field that is younger than the run has its default.

        Raises:
            CheckpointError: the run was made by a newer version of this code.
        """
        try:
            return from_plain(kind, self.config)
        except ConfigurationError as error:
            raise CheckpointError(f"the configuration of run {where} cannot be read: {error}") from error

    def going_on(self, kind: str, config: RunConfig, fingerprints: Mapping[str, str], where: str) -> Self:
        """The record with which ``config`` goes on under this name: this one, or one with more steps.

        Raises:
            ConfigurationError: kind, configuration or data differ; the message says in what.
        """
        begun = self.open_config(type(config), where)
        old, new = _identity(self.kind, begun, self.fingerprints), _identity(kind, config, fingerprints)
        changed = [f"{name}: was {old.get(name)!r}, now {new.get(name)!r}" for name in sorted(old | new) if old.get(name) != new.get(name)]
        if config.train.max_steps < begun.train.max_steps:
            changed.append(f"train.max_steps: was {begun.train.max_steps}, now {config.train.max_steps}; it can be raised only")
        if changed:
            raise ConfigurationError(
                f"{where} holds a run with another configuration; take another --name, or go back to: " + "; ".join(changed)
            )
        if config.train.max_steps == begun.train.max_steps:
            return self
        return replace(self, config=to_plain(config), extended=(*self.extended, begun.train.max_steps))


def run_folder(config: RunConfig) -> str:
    """URI of the folder of a run."""
    return storage.join(config.storage, config.name)


def checkpoint_store(config: RunConfig, lease: Lease | None = None) -> CheckpointStore:
    """The checkpoints of a run; who writes some needs a lease, if others may start the run too."""
    uri = storage.join(run_folder(config), CHECKPOINTS_FOLDER)
    return CheckpointStore(uri, config.train.keep_checkpoints, config.train.best_metric, lease)


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
        version = record.pop("version")
        if version == FORMAT_VERSION:
            return RunRecord(**{**record, "extended": tuple(record["extended"])})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{uri} is damaged ({error}); start under another name") from error
    remedy = "use that version" if version > FORMAT_VERSION else "start again under another --name"
    raise CheckpointError(f"{uri} has format {version}, this code reads {FORMAT_VERSION}: another version of it wrote the file; {remedy}")


def create_run(folder: str, record: RunRecord) -> None:
    """Write the record of a new run.

    Raises:
        ConfigurationError: somebody else started a run under this name just now.
    """
    if not storage.create_exclusively(storage.join(folder, RUN_FILE), _content(record)):
        raise ConfigurationError(f"another run was started under {folder} at this moment; take another --name")


def update_run(folder: str, record: RunRecord) -> None:
    """Replace the record of a run; only who holds its lease may do so."""
    storage.write_bytes(storage.join(folder, RUN_FILE), _content(record))


def _content(record: RunRecord) -> bytes:
    return json.dumps({"version": FORMAT_VERSION, **asdict(record)}, indent=1).encode()


def _identity(kind: str, config: RunConfig, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """What makes a run the same run, as flat names and values."""
    return {"kind": kind, **_decisive(config), **{f"fingerprint of {name}": value for name, value in fingerprints.items()}}


def _decisive(config: Any, prefix: str = "") -> dict[str, Any]:
    """The fields that a resumed run may not have otherwise, by dotted name."""
    flat: dict[str, Any] = {}
    picked = choices(type(config))
    for each in fields(config):
        value = getattr(config, each.name)
        if each.metadata in (MAY_CHANGE, MAY_GROW):
            continue
        if each.name in picked:
            flat |= {f"{prefix}{each.name}": picked[each.name].name_of(type(value)), **_decisive(value, f"{prefix}{value.section}.")}
        elif is_dataclass(value):
            flat |= _decisive(value, f"{prefix}{each.name}.")
        else:
            flat[f"{prefix}{each.name}"] = value
    return flat
