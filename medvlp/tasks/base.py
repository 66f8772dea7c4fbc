"""The task seam: all that tells one task family from another, in one object.

A ``Task`` is the configuration of its family and knows how to build the module, its batches and its evaluation. To add a family,
subclass it in a file of its own and name the class on the command line (``--task package.module:Class``), or register it as an
entry point (see ``registry``). Nothing else in the project asks which task it has.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from medvlp.data.collate import Collate, Negatives
from medvlp.data.image import ImageConfig
from medvlp.data.masking import MaskingConfig
from medvlp.data.text import TextConfig
from medvlp.metrics.records import Records
from medvlp.model.config import ARLConfig

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from transformers import PreTrainedTokenizerBase

    from medvlp.data.batch import Batch
    from medvlp.knowledge.bundle import KnowledgeBundle
    from medvlp.optimisation import OptimiserConfig
    from medvlp.tasks.module import TaskModule


@dataclass(frozen=True, kw_only=True, eq=False)
class TaskContext:
    """What a run, or a model folder, gives its task to work with."""

    model: ARLConfig
    image: ImageConfig
    text: TextConfig
    tokenizer: "PreTrainedTokenizerBase"
    bundle: "KnowledgeBundle"
    targets: Mapping[str, Any] = field(default_factory=dict)
    """What ``Task.targets`` found."""
    finding_types: tuple[str, ...] = ()
    """Semantic types of the entities that count as findings; all if empty."""
    masking: MaskingConfig = field(default_factory=MaskingConfig)
    negatives: Negatives = "same_modality"
    seed: int = 0
    """Of the draws of the collate."""

    @property
    def sizes(self) -> dict[str, int]:
        """What the tokenizer decides of a module, as arguments of ``ARL``."""
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
    """Name among the metrics of ``Task.summarise``."""
    baseline: str | None = None
    """Name of the metric of a predictor that does not see the image."""


@dataclass(frozen=True)
class Card:
    """What a model card says of a task."""

    what: str
    """One sentence."""
    example: str
    """Lines of Python that use ``model``."""


@dataclass(frozen=True, kw_only=True)
class Task(ABC):
    """A task family; its fields are the family's options. Picklable."""

    section: ClassVar[str]
    """Name of the family's options on the command line and in recipes."""
    target_columns: ClassVar[tuple[str, ...]] = ()
    """Fields of the training samples (see ``SampleFields``) that ``targets`` reads."""
    uses_attributes: ClassVar[bool] = False
    """Whether rows of the stream bring the attributes of their samples, for ``collate``."""

    def check(self, model: ARLConfig) -> None:  # noqa: B027  # most families have nothing to check
        """Refuse a model that the task cannot be built on.

        Raises:
            ConfigurationError: it cannot; the message says what to change.
        """

    def targets(self, columns: Iterable[Mapping[str, list[Any]]]) -> dict[str, Any]:
        """What the training samples decide of the module (answers, classes …), as JSON values. Kept with the run.

        Args:
            columns: ``target_columns`` by name, of one shard after the other.

        Raises:
            DataError: the shards are not those of this task.
        """
        return {}

    @abstractmethod
    def build(self, context: TaskContext) -> "TaskModule":
        """The module with new weights; the encoders may start from Hugging Face weights."""

    @abstractmethod
    def collate(self, context: TaskContext, *, augment: bool) -> Collate:
        """Rows of the stream to batches: of training, or without ``augment`` of evaluation, where nothing is drawn by epoch."""

    @abstractmethod
    def synthetic_batch(self, context: TaskContext, size: int, width: int | None = None) -> "Batch":
        """A batch of random numbers: ``size`` samples, texts of ``width`` tokens (the most if None)."""

    @abstractmethod
    def evaluate(self, module: "TaskModule", batch: "Batch") -> Records:
        """What evaluation keeps of a batch, one row for each sample; ``weight`` is among it. Called in evaluation mode."""

    @abstractmethod
    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        """Metrics by name over the records of a whole split, in the order of its samples."""

    def sample_records(self, context: TaskContext, records: Records) -> dict[str, np.ndarray]:
        """What is written for each sample of an evaluated split, by column; by default all that is one value for each."""
        return {name: values for name, values in records.items() if values.ndim == 1}

    def pictures(self, context: TaskContext, module: "TaskModule", batch: "Batch") -> dict[str, "Figure"]:
        """Pictures of a batch of validation, by name; by default none."""
        return {}

    def knowledge_multiplier(self, optimiser: "OptimiserConfig") -> float:
        """Of the learning rate of the knowledge encoder; by default it learns as slowly as the encoders of image and text."""
        return 1.0

    @abstractmethod
    def rows(self) -> tuple[ReportRow, ...]:
        """The lines of the report at the end of a run."""

    @abstractmethod
    def card(self, context: TaskContext) -> Card:
        """What the card of an exported model says."""
