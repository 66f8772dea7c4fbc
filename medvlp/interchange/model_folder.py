"""A trained model as a folder: weights, configuration, tokenizer, knowledge and a card. Nothing in it is ever executed.

``config.json`` and ``README.md``, ``model.safetensors`` (float32), ``tokenizer/`` and ``knowledge/``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from medvlp.configuration import from_plain, to_plain
from medvlp.data.image import ImageConfig
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import CheckpointError, ConfigurationError, KnowledgeError
from medvlp.interchange.card import model_card
from medvlp.json_values import parse_object
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import ARLConfig
from medvlp.model.weights import load_weights
from medvlp.tasks.base import Task, TaskContext
from medvlp.tasks.module import TaskModule
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.registry import REGISTERED_TASK, task_name

FORMAT_VERSION = 2
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


def load_model_folder(folder: Path, task: type[Task] | None = None) -> LoadedModel:
    """Read what ``save_model_folder`` wrote.

    Args:
        folder: the folder.
        task: the class of the task, if it is not installed. A folder never triggers imports by itself.

    Raises:
        CheckpointError: the folder is missing or damaged, has another version or task, or its parts do not belong together.
    """
    config = read_config(folder / CONFIG_FILE, task)
    try:
        tokenizer = load_tokenizer(folder / TOKENIZER_FOLDER)
        bundle = KnowledgeBundle.load(folder / KNOWLEDGE_FOLDER)
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError, ConfigurationError, KnowledgeError) as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; export it again with jobs/export.py") from error
    if bundle.fingerprint != config.origin.fingerprints.get("knowledge"):
        raise CheckpointError(f"{folder / KNOWLEDGE_FOLDER} is not the knowledge of this model; export it again with jobs/export.py")
    context = _context(config, tokenizer, bundle)
    module = config.task.build(context)
    load_weights(module, weights, str(folder))
    return LoadedModel(config, context, module.eval())


def read_config(path: Path, task: type[Task] | None = None) -> ModelFolderConfig:
    """Read the configuration of a model folder; for ``task`` see ``load_model_folder``.

    Raises:
        CheckpointError: it is missing or damaged, or has another version or task.
    """
    try:
        record: dict[str, Any] = parse_object(path.read_bytes())
        version = record.pop("version")
        name = record["task"] if version == FORMAT_VERSION else ""
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"no model at {path.parent}: {path.name}: {error}; make one with jobs/export.py") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path} has format {version}, this code reads {FORMAT_VERSION}; export the model again")
    if task is not None and name != task_name(task):
        raise CheckpointError(f"the model in {path.parent} has task {name!r}, not {task_name(task)!r}")
    try:
        return _from_record(record, task)
    except ConfigurationError as error:
        raise CheckpointError(f"{path} cannot be read: {error}; export the model again, or install its task") from error


def _from_record(record: dict[str, Any], task: type[Task] | None) -> ModelFolderConfig:
    if task is None:
        return from_plain(ModelFolderConfig, record)
    own = from_plain(task, record.pop(task.section, {}))
    del record["task"]
    return replace(from_plain(ModelFolderConfig, record), task=own)


def _context(config: ModelFolderConfig, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> TaskContext:
    return TaskContext(
        model=config.model,
        image=config.image,
        text=config.text,
        tokenizer=tokenizer,
        bundle=bundle,
        targets=config.targets,
        finding_types=config.finding_types,
    )
