"""The typed batch of pre-training and the collate that makes it.

Shapes: B samples, S image side, L tokens, E entities of a text, M masked slots of a text, F entities of an image,
Q negatives drawn from the corpus (0 if the batch's own images serve as negatives).
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """The common fields of the batches of all tasks. Tensor fields move between devices; the others stay."""

    images: Tensor
    """uint8 [B, 3, S, S], not normalised."""
    token_ids: Tensor
    """int64 [B, L]."""
    token_mask: Tensor
    """bool [B, L], True for real tokens."""
    entity_ids: Tensor
    """int64 [B, E], 0 in unused slots (see ``entity_mask``)."""
    entity_mask: Tensor
    """bool [B, E], True for real entities."""
    entity_tokens: Tensor
    """bool [B, E, L], the tokens that name each entity (ARL's position matrix)."""
    weight: Tensor
    """float32 [B], 0 for a sample whose image cannot be decoded: it keeps its slot but counts in no loss."""
    modalities: tuple[str, ...]
    keys: tuple[str, ...]
    """Sample keys, to identify a sample in a report."""
    skipped: tuple[tuple[str, str], ...]
    """(shard, reason) of every sample of weight zero."""

    def __len__(self) -> int:
        return self.images.shape[0]

    def to(self, device: torch.device) -> Self:
        """Return the batch with its tensors on ``device``."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        moved: dict[str, Any] = {name: value.to(device, non_blocking=True) for name, value in values.items() if isinstance(value, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class PretrainBatch(Batch):
    """A micro-batch of pre-training."""

    masked_token_ids: Tensor
    """int64 [B, L], the text after masking."""
    masked_positions: Tensor
    """int64 [B, M], positions of the tokens to predict; 0 in unused slots."""
    masked_labels: Tensor
    """int64 [B, M], the tokens to predict; -100 in unused slots."""
    masked_in_entity: Tensor
    """bool [B, M], whether the token belongs to an entity."""
    entity_kept: Tensor
    """bool [B, E], entities without a token to predict: those that the knowledge stream of the masked text may see."""
    image_entities: Tensor
    """int64 [B, F], entity ids of all texts of the image, -1 padded."""
    negative_images: Tensor
    """uint8 [Q, 3, S, S], images of the corpus drawn as negatives for matching; none if they come from the batch itself."""
    negative_weight: Tensor
    """float32 [Q], 0 for a negative that cannot be decoded."""
    partner: Tensor
    """int64 [B], the row's negative image for matching: a row of ``images`` followed by ``negative_images``."""
    has_partner: Tensor
    """bool [B], whether the partner is another row of the same modality."""
    matched: Tensor
    """bool [B], whether matching shows the row its own image (True) or its partner's (False)."""


def padded(rows: Sequence[Sequence[int]], width: int, filler: int) -> Tensor:
    """int64 [len(rows), width]: rows cut or padded with ``filler`` to ``width``."""
    table = np.full((len(rows), width), filler, dtype=np.int64)
    for index, row in enumerate(rows):
        table[index, : min(len(row), width)] = row[:width]
    return torch.from_numpy(table)


def padded_bool(rows: Sequence[Sequence[bool]], width: int) -> Tensor:
    """A bool tensor [len(rows), width]: rows cut or padded with False to ``width``."""
    return padded(rows, width, 0).bool()
