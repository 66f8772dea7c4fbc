"""A trained model as a folder: weights, configuration, tokenizer, knowledge and a card. Nothing in it is ever executed.

``config.json`` and ``README.md``, ``model.safetensors`` (float32), ``tokenizer/`` and ``knowledge/``.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from medvlp.configuration import from_plain
from medvlp.data.image import ImageConfig
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import load_tokenizer
from medvlp.errors import CheckpointError, ConfigurationError, KnowledgeError
from medvlp.interchange.card import model_card
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import ARLConfig
from medvlp.model.weights import load_weights
from medvlp.tasks.pretrain.config import PretextConfig
from medvlp.tasks.pretrain.module import PretrainingTask
from medvlp.tasks.vqa.module import QuestionAnsweringTask

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "README.md"
TOKENIZER_FOLDER = "tokenizer"
KNOWLEDGE_FOLDER = "knowledge"

Task = PretrainingTask | QuestionAnsweringTask


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a model comes from."""

    run: str
    step: int
    """Optimiser steps."""
    samples: int
    """Samples that it was trained on, repetitions included; of the last run only."""
    fingerprints: Mapping[str, str]
    """Of shards, links, knowledge and tokenizer."""
    pretrained: str = ""
    """Run and checkpoint that it started from, if it did not start from scratch."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of the last validation; empty if they are not known."""


@dataclass(frozen=True, kw_only=True)
class ExportedConfig:
    """Everything but weights, tokens and knowledge. A model is pre-trained (``pretext``) or answers questions (``answers``)."""

    model: ARLConfig
    image: ImageConfig
    text: TextConfig
    pretext: PretextConfig | None = None
    answers: tuple[str, ...] = ()
    finding_types: tuple[str, ...] = ()
    """Semantic types of the entities that count as findings; all if empty."""
    origin: Origin

    def __post_init__(self) -> None:
        if (self.pretext is None) == (not self.answers):
            raise ConfigurationError("an exported model has either pretext objectives or answers")


@dataclass(frozen=True, eq=False)
class Exported:
    """A model with everything that it needs to read images and texts."""

    config: ExportedConfig
    task: Task
    tokenizer: PreTrainedTokenizerBase
    bundle: KnowledgeBundle


def build_task(config: ExportedConfig, tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle) -> Task:
    """The task with random weights."""
    sizes = {"vocabulary": len(tokenizer), "padding_id": tokenizer.pad_token_id}
    if config.pretext is not None:
        return PretrainingTask(config.model, config.pretext, bundle, **sizes)
    return QuestionAnsweringTask(config.model, bundle, answers=len(config.answers), **sizes)


def save_exported(
    folder: Path, config: ExportedConfig, weights: Mapping[str, Tensor], tokenizer: PreTrainedTokenizerBase, bundle: KnowledgeBundle
) -> None:
    """Write the folder, which is made if need be.

    Raises:
        CheckpointError: the weights are not those of a model of this configuration.
    """
    load_weights(build_task(config, tokenizer, bundle), weights, config.origin.run)
    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / WEIGHTS_FILE)
    tokenizer.save_pretrained(folder / TOKENIZER_FOLDER)
    bundle.save(folder / KNOWLEDGE_FOLDER)
    (folder / CARD_FILE).write_text(model_card(config, bundle), encoding="utf-8")
    record = {"version": FORMAT_VERSION, **asdict(config)}
    (folder / CONFIG_FILE).write_text(json.dumps(record, ensure_ascii=False, indent=1), encoding="utf-8")


def load_exported(folder: Path) -> Exported:
    """Read what ``save_exported`` wrote.

    Raises:
        CheckpointError: the folder is missing, damaged, of another version, or its parts do not belong together.
    """
    config = _read_config(folder / CONFIG_FILE)
    try:
        tokenizer = load_tokenizer(folder / TOKENIZER_FOLDER)
        bundle = KnowledgeBundle.load(folder / KNOWLEDGE_FOLDER)
        weights = load_file(folder / WEIGHTS_FILE)
    except (OSError, SafetensorError, ConfigurationError, KnowledgeError) as error:
        raise CheckpointError(f"the model in {folder} is damaged: {error}; export it again with jobs/export.py") from error
    if bundle.fingerprint != config.origin.fingerprints.get("knowledge"):
        raise CheckpointError(f"{folder / KNOWLEDGE_FOLDER} is not the knowledge of this model; export it again with jobs/export.py")
    task = build_task(config, tokenizer, bundle)
    load_weights(task, weights, str(folder))
    return Exported(config, task.eval(), tokenizer, bundle)


def _read_config(path: Path) -> ExportedConfig:
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        version = record.pop("version")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"no model at {path.parent}: {path.name}: {error}; make one with jobs/export.py") from error
    if version != FORMAT_VERSION:
        raise CheckpointError(f"{path} is of version {version}, this code reads {FORMAT_VERSION}; export the model again")
    try:
        return from_plain(ExportedConfig, record)
    except ConfigurationError as error:
        raise CheckpointError(f"{path} is damaged: {error}; export the model again with jobs/export.py") from error
