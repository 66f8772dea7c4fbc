"""The record of a run, ``STORAGE/RUN/run.json``, and the check whether a run of the same name may continue."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

from medvlp.configuration import choices, from_plain, to_plain
from medvlp.errors import CheckpointError, ConfigurationError
from medvlp.json_values import parse_object, typed
from medvlp.values import unchecked
from scaleout.checkpoint.lease import Lease
from scaleout.checkpoint.store import CheckpointStore
from scaleout.io import storage
from scaleout.runs.config import MAY_CHANGE, MAY_GROW, RunConfig
from scaleout.tracking.jsonlines import EVENTS_FILE, METRICS_FILE

FORMAT_VERSION = 2
RUN_FILE = "run.json"
CHECKPOINTS_FOLDER = "checkpoints"

Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The record of a run."""

    kind: str
    """The name of its task, or "sweep"."""
    config: Mapping[str, Any]
    """The resolved configuration, as plain values."""
    fingerprints: Mapping[str, str]
    """Fingerprints of shards, links, knowledge and tokenizer."""
    mlflow_run: str
    targets: Mapping[str, Any] = field(default_factory=dict)
    """See ``Task.targets``."""
    extended: tuple[int, ...] = ()
    """The previous values of ``train.max_steps``, in order: up to the first of them, the learning rates followed its schedule."""

    def open_config(self, kind: type[Config], where: str) -> Config:
        """Return the configuration; a field that was added after the run was started has its default.

        Raises:
            CheckpointError: the run was made by a newer version of this code.
        """
        try:
            with unchecked():  # a run that was started before a rule of a field stays readable
                return from_plain(kind, self.config)
        except (ConfigurationError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"the configuration of run {where} is unreadable: {error}") from error

    def going_on(self, kind: str, config: RunConfig, fingerprints: Mapping[str, str], where: str) -> Self:
        """Return the record to continue with under this name: this one, or one with more steps.

        Raises:
            ConfigurationError: kind, configuration or data differ; the message lists the differences.
        """
        begun = self.open_config(type(config), where)
        old, new = _identity(self.kind, begun, self.fingerprints), _identity(kind, config, fingerprints)
        changed = [f"{name}: was {old.get(name)!r}, now {new.get(name)!r}" for name in sorted(old | new) if old.get(name) != new.get(name)]
        if config.train.max_steps < begun.train.max_steps:
            changed.append(f"train.max_steps: was {begun.train.max_steps}, now {config.train.max_steps}; it can only be raised")
        if changed:
            raise ConfigurationError(
                f"{where} holds a run with another configuration; choose another --name, or restore: " + "; ".join(changed)
            )
        if config.train.max_steps == begun.train.max_steps:
            return self
        return replace(self, config=to_plain(config), extended=(*self.extended, begun.train.max_steps))


def run_folder(config: RunConfig) -> str:
    """Return the URI of the folder of a run."""
    return storage.join(config.storage, config.name)


def checkpoint_store(config: RunConfig, lease: Lease | None = None) -> CheckpointStore:
    """Return the checkpoints of a run; writing needs a lease if others may start the run too."""
    uri = storage.join(run_folder(config), CHECKPOINTS_FOLDER)
    return CheckpointStore(uri, config.train.keep_checkpoints, config.train.best_metric, lease)


def load_run(folder: str) -> RunRecord | None:
    """Read the record of a run; return None if there is no such run.

    Raises:
        CheckpointError: the record is damaged or of another version.
    """
    uri = storage.join(folder, RUN_FILE)
    if not storage.exists(uri):
        return None
    try:
        record = parse_object(storage.read_bytes(uri))
        version = typed(int, record.get("version"))
        if version == FORMAT_VERSION:
            return typed(RunRecord, record)
    except ValueError as error:
        raise CheckpointError(f"{uri} is damaged ({error}); restore it from a copy, or start under another --name") from error
    remedy = "use that version" if version > FORMAT_VERSION else "start again under another --name"
    raise CheckpointError(f"{uri} has format {version}, this code reads {FORMAT_VERSION}: another version of it wrote the file; {remedy}")


def find_own_run(config: RunConfig) -> RunRecord | None:
    """Return the record of the run with the name of ``config``; None if there is no such run.

    Raises:
        CheckpointError: the record is damaged or of another version, or missing beside the other files of a run, whose they are.
    """
    folder = run_folder(config)
    record = load_run(folder)
    rest = sorted(set(storage.list_names(folder)) & {CHECKPOINTS_FOLDER, METRICS_FILE, EVENTS_FILE}) if record is None else []
    if rest:
        raise CheckpointError(
            f"{folder} has {', '.join(rest)} of a run whose {RUN_FILE} is missing: restore it from a copy, choose another --name, or "
            "empty the folder to start again"
        )
    return record


def create_run(folder: str, record: RunRecord) -> None:
    """Write the record of a new run.

    Raises:
        ConfigurationError: another run was started under this name at the same time.
    """
    if not storage.create_exclusively(storage.join(folder, RUN_FILE), _content(record)):
        raise ConfigurationError(f"another run has just been started in {folder}; choose another --name")


def update_run(folder: str, record: RunRecord) -> None:
    """Replace the record of a run; only the holder of its lease may call this."""
    storage.write_bytes(storage.join(folder, RUN_FILE), _content(record))


def _content(record: RunRecord) -> bytes:
    return json.dumps({"version": FORMAT_VERSION, **asdict(record)}, indent=1).encode()


def _identity(kind: str, config: RunConfig, fingerprints: Mapping[str, str]) -> dict[str, Any]:
    """Return what identifies a run, as flat names and values."""
    return {"kind": kind, **_decisive(config), **{f"fingerprint of {name}": value for name, value in fingerprints.items()}}


def _decisive(config: Any, prefix: str = "") -> dict[str, Any]:
    """Return the fields that a resumed run may not change, by dotted name."""
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
