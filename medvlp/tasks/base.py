"""The task protocol: everything that is specific to a task family, in one object.

A ``Task`` is the configuration of its family and builds the module, its batches and its evaluation. To add a family, subclass it in a
separate file and name the class on the command line (``--task package.module:Class``), or register it as an entry point (see ``registry``).
Nothing else in the project depends on the kind of task.
"""

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from medvlp.data.collate import Collate, Negatives
from medvlp.data.image import ImageConfig
from medvlp.data.masking import MaskingConfig
from medvlp.data.text import TextConfig
from medvlp.errors import ConfigurationError
from medvlp.metrics.records import Records
from medvlp.model.config import ARLConfig
from medvlp.values import Checked

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedTokenizerBase

    from medvlp.data.batch import Batch
    from medvlp.knowledge.bundle import KnowledgeBundle
    from medvlp.optimisation import OptimiserConfig
    from medvlp.tasks.module import TaskModule


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskContext:
    """The objects that a run or a model folder passes to its task."""

    model: ARLConfig
    image: ImageConfig
    text: TextConfig
    tokenizer: "PreTrainedTokenizerBase"
    bundle: "KnowledgeBundle"
    targets: Mapping[str, Any] = field(default_factory=dict)
    """The result of ``Task.targets``."""
    finding_types: tuple[str, ...] = ()
    """Semantic types of the entities that count as findings; empty for all."""
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    negatives: Negatives = "same_modality"
    seed: int = 0
    """Seed of the random draws of the collate."""

    @property
    def sizes(self) -> dict[str, int]:
        """Return the arguments of ``ARL`` that depend on the tokenizer."""
        return {"vocabulary": len(self.tokenizer), "padding_id": self.tokenizer.pad_token_id}

    @property
    def reading(self) -> dict[str, Any]:
        """How images and texts are read, as arguments of ``CommonCollate``."""
        return {"tokenizer": self.tokenizer, "image": self.image, "text": self.text, "seed": self.seed}

    def batch_sizes(self, width: int | None = None) -> dict[str, int]:
        """The sizes of a batch with texts of ``width`` tokens (the most if None), as arguments of ``synthetic_batch``."""
        return {
            "image_size": self.image.size,
            "width": width or self.text.maximum_tokens,
            "entities": self.text.maximum_entities,
            "vocabulary": len(self.tokenizer),
            "graph": len(self.bundle.entities),
        }


@dataclass(frozen=True)
class ReportRow:
    """A line of the report at the end of a run."""

    label: str
    metric: str
    """Name of a metric of ``Task.summarise``."""
    baseline: str | None = None
    """Name of the metric of a baseline that does not see the image."""


@dataclass(frozen=True)
class Card:
    """The description of a task in a model card."""

    what: str
    """A description in one sentence."""
    example: str
    """Example lines of Python that use ``model``."""


@dataclass(frozen=True, kw_only=True)
class Task(Checked, ABC):
    """A task family; its fields are the family's options. Picklable."""

    section: ClassVar[str]
    """Name of the options group on the command line and in recipes."""
    target_columns: ClassVar[tuple[str, ...]] = ()
    """Fields of the training samples (see ``SampleFields``) that ``targets`` reads."""
    uses_attributes: ClassVar[bool] = False
    """Whether ``collate`` needs the attributes of the samples in the rows of the stream."""

    def check(self, model: ARLConfig) -> None:  # most families have nothing to check
        """Check that the task can be built on this model.

        Raises:
            ConfigurationError: it cannot; the message says what to change.
        """

    def targets(self, columns: Iterable[Mapping[str, list[Any]]]) -> dict[str, Any]:
        """Return what the training samples determine about the module (answers, classes …), as JSON values kept with the run.

        Args:
            columns: ``target_columns`` by name, one shard after the other.

        Raises:
            DataError: the shards do not suit this task.
        """
        return {}

    @abstractmethod
    def build(self, context: TaskContext) -> "TaskModule":
        """Build the module with initial weights; the encoders may start from Hugging Face weights."""

    @abstractmethod
    def collate(self, context: TaskContext, *, augment: bool) -> Collate:
        """Return the collate from rows to batches: for training, or without ``augment`` for evaluation, with no draws per epoch."""

    @abstractmethod
    def synthetic_batch(self, context: TaskContext, size: int, width: int | None = None) -> "Batch":
        """Return a batch of random numbers: ``size`` samples, texts of ``width`` tokens (the maximum if None)."""

    @abstractmethod
    def evaluate(self, module: "TaskModule", batch: "Batch") -> Records:
        """Return the evaluation records of a batch, one row per sample, including ``weight``. Called in evaluation mode."""

    @abstractmethod
    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        """Return metrics by name over the records of a whole split, in the order of its samples."""

    def metrics(self) -> tuple[str, ...]:
        """Return the names of the metrics of ``summarise`` by which a run may select its best checkpoint; a ``*`` stands for any ending.

        By default those of ``rows``.
        """
        return tuple(dict.fromkeys(name for row in self.rows() for name in (row.metric, row.baseline) if name))

    def check_metric(self, name: str, option: str, prefix: str = "") -> None:
        """Check that the task has a metric.

        Args:
            name: its name, after ``prefix``.
            option: the option that names it, for the message.
            prefix: what stands before the names of ``metrics``.

        Raises:
            ConfigurationError: it has none of this name.
        """
        known = [f"{prefix}{metric}" for metric in self.metrics()]
        if not any(fnmatchcase(name, pattern) for pattern in known):
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise ConfigurationError(f"{option} {name!r} is no metric of this task{hint} It has {', '.join(known)}")

    def sample_records(self, context: TaskContext, records: Records) -> dict[str, np.ndarray]:
        """Return the columns to write per sample of an evaluated split; by default all records with one value per sample."""
        return {name: values for name, values in records.items() if values.ndim == 1}

    def pictures(self, context: TaskContext, module: "TaskModule", batch: "Batch") -> dict[str, "Figure"]:
        """Return pictures of a validation batch, by name; by default none."""
        return {}

    def knowledge_multiplier(self, optimiser: "OptimiserConfig") -> float:
        """Return the learning-rate multiplier of the knowledge encoder; by default that of the image and text encoders."""
        return 1.0

    @abstractmethod
    def rows(self) -> tuple[ReportRow, ...]:
        """Return the lines of the report at the end of a run."""

    @abstractmethod
    def card(self, context: TaskContext) -> Card:
        """Return the task's part of the card of an exported model."""
