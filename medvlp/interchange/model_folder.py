"""A trained model as a folder: weights, configuration, tokenizer, knowledge and a card. Nothing in it is ever executed.

``config.json`` and ``README.md``, ``model.safetensors`` (float32), ``tokenizer/`` and ``knowledge/``, and the digests of all of them but
the card in ``SHA256SUMS``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from medvlp.configuration import from_plain, to_plain
from medvlp.data.foreign import plain_reason, plain_reasons
from medvlp.data.image import ImageConfig
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import load_tokenizer, tokenizer_fingerprint
from medvlp.errors import CheckpointError, ConfigurationError, KnowledgeError
from medvlp.interchange.card import model_card
from medvlp.interchange.digests import DIGESTS_FILE, check_digests, warn_without_digests, write_digests
from medvlp.json_values import parse_object
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import ARLConfig
from medvlp.model.weights import load_weights
from medvlp.tasks.base import Task, TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.registry import REGISTERED_TASK, task_name

FORMAT_VERSION = 3
_WITHOUT_DIGESTS = 2
"""The version before digests; such folders are still read."""
_AGAIN = "export it again with jobs/export.py"
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
TOKENIZER_FOLDER = "tokenizer"
KNOWLEDGE_FOLDER = "knowledge"


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model comes from."""

    run: str
    step: int
    """Number of optimiser steps."""
    samples: int
    """Number of samples that it was trained on, with repetitions; in the last run only."""
    fingerprints: Mapping[str, str]
    """Fingerprints of shards, links, knowledge and tokenizer."""
    started_from: str = ""
    """The origin of its initial weights, if they were not new."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Metrics of the last validation; empty if unknown."""


@dataclass(frozen=True, kw_only=True)
class ModelFolderConfig:
    """The configuration in a model folder: everything but weights, tokenizer and knowledge."""

    task: Task = field(default_factory=Pretraining, metadata=REGISTERED_TASK.metadata)
    targets: Mapping[str, Any] = field(default_factory=dict)
    """See ``Task.targets``: the answers, the classes …"""
    model: ARLConfig
    image: ImageConfig
    text: TextConfig
    finding_types: tuple[str, ...] = ()
    """Semantic types of the entities that count as findings; empty for all."""
    origin: Origin

    def __post_init__(self) -> None:
        if self.image.size != self.model.vision.image_size:
            raise ConfigurationError(f"image.size {self.image.size} is not model.vision.image_size {self.model.vision.image_size}")


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with everything that it needs to read images and texts."""

    config: ModelFolderConfig
    context: TaskContext
    module: TaskModule


def save_model_folder(
    folder: Path, config: ModelFolderConfig, weights: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle
) -> None:
    """Write the folder; create it if necessary.

    Raises:
        CheckpointError: the weights do not fit a model of this configuration.
    """
    context = _context(config, tokenizer, bundle)
    load_weights(config.task.build(context), weights, config.origin.run)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / WEIGHTS_FILE)
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    bundle.save(folder / KNOWLEDGE_FOLDER)
    (folder / CARD_FILE).write_text(model_card(config.origin, config.task.card(context), bundle), encoding="utf-8")
    record = {"version": FORMAT_VERSION, **to_plain(config)}
    (folder / CONFIG_FILE).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")
    write_digests(folder, but=[CARD_FILE])


def load_model_folder(folder: Path, task: type[Task] | None = None) -> LoadedModel:
    """Read what ``save_model_folder`` wrote.

    Args:
        folder: the folder.
        task: the class of the task, if it is not installed. A folder never triggers imports by itself.

    Raises:
        CheckpointError: the folder is missing or damaged, has another version or task, or its parts do not belong together.
    """
    config = read_config(folder, task)
    check_digests(folder)
    try:
        tokenizer = load_tokenizer(folder / TOKENIZER_FOLDER)
        bundle = KnowledgeBundle.load(folder / KNOWLEDGE_FOLDER)
    except (ConfigurationError, KnowledgeError) as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; {_AGAIN}") from error
    for name, found in (("knowledge", bundle.fingerprint), ("tokenizer", tokenizer_fingerprint(tokenizer))):
        if found != config.origin.fingerprints.get(name):
            raise CheckpointError(f"{folder / name} is not the {name} of this model; {_AGAIN}")
    weights = _read_weights(folder / WEIGHTS_FILE)
    context = _context(config, tokenizer, bundle)
    with plain_reasons(lambda why: CheckpointError(f"no model can be built from {folder / CONFIG_FILE}: {why}; {_AGAIN}")):
        module = config.task.build(context)
    load_weights(module, weights, str(folder))
    return LoadedModel(config, context, module.eval())


def read_config(folder: Path, task: type[Task] | None = None) -> ModelFolderConfig:
    """Read the configuration of a model folder and compare it with its digest; for ``task`` see ``load_model_folder``.

    Raises:
        CheckpointError: it is missing or damaged, or has another version or task.
    """
    path = folder / CONFIG_FILE
    try:
        record: dict[str, Any] = parse_object(path.read_bytes())
        version = record.pop("version")
        name = record["task"] if version in (FORMAT_VERSION, _WITHOUT_DIGESTS) else ""
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"no model at {folder}: {CONFIG_FILE}: {plain_reason(error)}; make one with jobs/export.py") from error
    if not name:
        raise CheckpointError(f"{path} has format {version}, this code reads {FORMAT_VERSION}; export the model again")
    _check_config(folder, version)
    if task is not None and name != task_name(task):
        raise CheckpointError(f"the model in {folder} has task {name!r}, not {task_name(task)!r}")
    try:
        return _from_record(record, task)
    except ConfigurationError as error:
        raise CheckpointError(f"{path} cannot be read: {error}; export the model again, or install its task") from error


def read_weights_file(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file and compare it with its digest, if its folder has digests.

    Raises:
        CheckpointError: it is missing or damaged.
    """
    check_digests(path.parent, [path.name])
    return _read_weights(path)


def _read_weights(path: Path) -> dict[str, Tensor]:
    with plain_reasons(lambda why: CheckpointError(f"{path} is missing or damaged: {why}; copy its whole folder again, or make it again")):
        return load_file(path)


def _check_config(folder: Path, version: int) -> None:
    if check_digests(folder, [CONFIG_FILE]):
        return
    if version != _WITHOUT_DIGESTS:
        raise CheckpointError(f"the model in {folder} is incomplete: {DIGESTS_FILE} is missing; copy the whole folder again")
    warn_without_digests(folder, "jobs/export.py")


def _from_record(record: dict[str, Any], task: type[Task] | None) -> ModelFolderConfig:
    if task is None:
        return from_plain(ModelFolderConfig, record)
    own = from_plain(task, record.pop(task.section, {}))
    del record["task"]
    return replace(from_plain(ModelFolderConfig, record), task=own)


def _context(config: ModelFolderConfig, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> TaskContext:
    return TaskContext(
        model=config.model.from_scratch(),
        image=config.image,
        text=config.text,
        tokenizer=tokenizer,
        bundle=bundle,
        targets=config.targets,
        finding_types=config.finding_types,
    )
