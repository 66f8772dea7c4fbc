"""A task in a single file: predict the modality of an image from the image and its text.

No other file refers to it. From the root of the repository, after ``make pretrain``::

    PYTHONPATH=.:platform python jobs/finetune.py --task examples.modality_task:ModalityTask --name modality --storage results/runs \
      --start_from results/runs/quickstart --data.shards results/phantom/shards --data.links results/phantom/links --train.max_steps 100
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.data.batch import Batch
from medvlp.data.collate import Collate, CommonCollate
from medvlp.data.sample import StreamRow
from medvlp.data.synthetic import synthetic_batch
from medvlp.data.text import encode_texts
from medvlp.errors import DataError
from medvlp.metrics.records import Records, to_records
from medvlp.model.arl import ARL, initialise
from medvlp.tasks.base import Card, ReportRow, Task, TaskContext
from medvlp.tasks.module import TaskModule, TaskOutput
from medvlp.tasks.reduction import weighted_mean
from medvlp.values import Count

CLASSES = "classes"


@dataclass(frozen=True, eq=False)
class ModalityBatch(Batch):
    """Images and texts with the modality of each."""

    labels: Tensor
    """int64 [B], the class of each sample."""


@dataclass(frozen=True)
class ModalityCollate(CommonCollate):
    """Collates rows to a ``ModalityBatch``."""

    classes: tuple[str, ...]

    def __call__(self, rows: Sequence[StreamRow]) -> ModalityBatch:
        """See ``Collate``."""
        common = self.common_fields(rows, encode_texts(self.tokenizer, rows, self.text.maximum_tokens))
        return ModalityBatch(**common, labels=torch.tensor([self.classes.index(row.modality) for row in rows]))


class ModalityModule(TaskModule):
    """ARL with a linear head on the pooled pair."""

    def __init__(self, context: TaskContext, hidden: int):
        super().__init__()
        width = 2 * context.model.fusion.width
        self.arl = ARL(context.model, context.bundle, **context.sizes)
        self.head = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, len(context.targets[CLASSES])))
        initialise(self.head, context.model.initial_deviation)

    def forward(self, batch: ModalityBatch) -> TaskOutput:
        """Return the cross-entropy."""
        loss = weighted_mean(F.cross_entropy(self.logits(batch).float(), batch.labels, reduction="none"), batch.weight)
        return TaskOutput(loss, {"modality": loss.detach()})

    def logits(self, batch: ModalityBatch) -> Tensor:
        """Return logits [B, classes]."""
        arl = self.arl
        text, image = arl.encode_texts(batch.token_ids, batch.token_mask), arl.encode_images(arl.vision.normalise(batch.images))
        streams = arl.streams(text, image, arl.knowledge(), batch.token_mask, batch.entity_ids, batch.entity_mask, batch.entity_tokens)
        return self.head(arl.fuse(streams)[1])


@dataclass(frozen=True, kw_only=True)
class ModalityTask(Task):
    """Classify the modality of an image."""

    section: ClassVar[str] = "modality"
    target_columns: ClassVar[tuple[str, ...]] = ("modality",)

    hidden: Count = 32
    """Width of the head."""

    def targets(self, columns: Iterable[Mapping[str, list[Any]]]) -> dict[str, Any]:
        """Return the modalities of the training samples, in alphabetical order."""
        classes = sorted({modality for part in columns for modality in part["modality"] if modality})
        if len(classes) < 2:
            raise DataError("the shards contain fewer than two modalities")
        return {CLASSES: classes}

    def build(self, context: TaskContext) -> ModalityModule:
        """See ``Task``."""
        return ModalityModule(context, self.hidden)

    def collate(self, context: TaskContext, *, augment: bool) -> Collate:
        """See ``Task``."""
        return ModalityCollate(**context.reading, augment=augment, classes=tuple(context.targets[CLASSES]))

    def synthetic_batch(self, context: TaskContext, size: int, width: int | None = None) -> ModalityBatch:
        """See ``Task``."""
        batch = synthetic_batch(size, slots=1, **context.batch_sizes(width))
        common = {field.name: getattr(batch, field.name) for field in fields(Batch)}
        return ModalityBatch(**common, labels=torch.arange(size) % len(context.targets[CLASSES]))

    def evaluate(self, module: ModalityModule, batch: ModalityBatch) -> Records:  # type: ignore[override]
        """See ``Task``."""
        return to_records({"weight": batch.weight, "label": batch.labels, "predicted": module.logits(batch).argmax(-1)})

    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        """Return the accuracy, and that of always predicting the most common modality."""
        counted = records["weight"] > 0
        labels, predicted = records["label"][counted], records["predicted"][counted]
        return {
            "modality_accuracy": float((labels == predicted).mean()),
            "majority_accuracy": float(np.bincount(labels).max() / len(labels)),
        }

    def rows(self) -> tuple[ReportRow, ...]:
        """See ``Task``."""
        return (ReportRow("modality, accuracy", "modality_accuracy", "majority_accuracy"),)

    def card(self, context: TaskContext) -> Card:
        """See ``Task``."""
        return Card(f"A model that distinguishes {', '.join(context.targets[CLASSES])}.", "model.module  # a torch module")
