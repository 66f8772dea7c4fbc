"""The small model of the authors' code with everything that it computes, and the same model here.

``parity_small.pt`` is described where it lies. Shapes: B 4, L 16, E 6, P 16 patches, N 50 entities.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from medvlp.data.batch import PretrainBatch
from medvlp.data.image import CLIP_MEAN, CLIP_STD
from medvlp.data.masking import IGNORED
from medvlp.interchange.convert import convert
from medvlp.knowledge.bundle import Entity, KnowledgeBundle, Provenance
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights
from medvlp.tasks.pretrain.module import PretrainingModule
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.module import AnswerHead

MODEL = ARLConfig(
    vision=VisionConfig(width=128, layers=2, heads=2, patch=16, image_size=64),
    language=LanguageConfig(width=64, layers=2, heads=4, feed_forward=256, positions=80),
    knowledge=KnowledgeConfig(hidden_heads=8, hidden_width=64),
    fusion=FusionConfig(
        width=64, layers=2, heads=4, feed_forward=256, knowledge_heads=4, knowledge_feed_forward=1024, last_layer_knowledge=True
    ),
)
PRETEXT = Pretraining(weights=ObjectiveWeights(), masked_image=MaskedImageConfig(layer=1, width=32, layers=2, heads=4))
VOCABULARY = 1000
ANSWERS, CLASSES = 11, 7


@dataclass(frozen=True)
class Reference:
    """What the file holds."""

    content: dict[str, Any]

    @classmethod
    def load(cls, path: Path) -> "Reference":
        return cls(torch.load(path, weights_only=True))

    @property
    def outputs(self) -> dict[str, Tensor]:
        return self.content["outputs"]

    @property
    def raw(self) -> dict[str, Any]:
        """The authors' batch."""
        return self.content["batch"]

    @property
    def bundle(self) -> KnowledgeBundle:
        """Their graph, parallel edges and self loops as they are."""
        heads, tails = self.content["edge_index"]
        triples = torch.stack([heads, torch.zeros_like(heads), tails], dim=1)
        entities = tuple(Entity(str(index), str(index), "", 1) for index in range(self.content["n_ent"]))
        vectors = torch.zeros(len(entities), self.content["knowledge"]["width"])
        return KnowledgeBundle(entities, ("edge",), triples, vectors, Provenance("authors", "", "", "", 0))

    def task(self) -> "Everything":
        """Our model with their weights, in evaluation mode: without dropout."""
        task = Everything(self.bundle)
        wanted = {name: parameter.shape for name, parameter in task.named_parameters()}
        weights, _ = convert(self.content["state_dict"], wanted, MODEL, entity_vectors=True)
        task.load_state_dict(weights, strict=False)
        return task.eval()

    @cached_property
    def batch(self) -> PretrainBatch:
        """Their batch as ours. Matching shows the rows that they call negatives an image of the corpus."""
        raw = self.raw
        labels = raw["text_labels_mlm"]
        slots = int((labels != IGNORED).sum(1).max())
        positions = torch.zeros(len(labels), slots, dtype=torch.int64)
        slot_labels = torch.full_like(positions, IGNORED)
        for row, masked in enumerate(labels != IGNORED):
            where = masked.nonzero()[:, 0]
            positions[row, : len(where)], slot_labels[row, : len(where)] = where, labels[row, where]
        matched = self.outputs["itm.labels"].bool()
        partner = torch.arange(len(labels))
        partner[~matched] = len(labels) + torch.arange(int((~matched).sum()))
        ids, present = entities(raw["text_ent_ids"])
        kept = torch.stack([torch.isin(row, unmasked) for row, unmasked in zip(raw["text_ent_ids"], raw["text_ent_ids_mlm"], strict=True)])
        return PretrainBatch(
            images=pixels(raw["image"][0]),
            token_ids=raw["text_ids"],
            token_mask=raw["text_masks"].bool(),
            entity_ids=ids,
            entity_mask=present,
            entity_tokens=raw["text_pos_matrices"].bool(),
            weight=torch.ones(len(ids)),
            modalities=("",) * len(ids),
            keys=tuple(map(str, range(len(ids)))),
            skipped=(),
            masked_token_ids=raw["text_ids_mlm"],
            masked_positions=positions,
            masked_labels=slot_labels,
            masked_in_entity=torch.zeros_like(positions, dtype=torch.bool),
            entity_kept=kept,
            image_entities=label_lists(raw["img_labels"]),
            negative_images=pixels(raw["false_image_0"][0][~matched]),
            negative_weight=torch.ones(int((~matched).sum())),
            partner=partner,
            has_partner=torch.zeros(len(ids), dtype=torch.bool),
            matched=matched,
        )


class Everything(PretrainingModule):
    """Pre-training with the heads of all downstream tasks, as the authors' one class has them."""

    def __init__(self, bundle: KnowledgeBundle):
        super().__init__(MODEL, PRETEXT, bundle, vocabulary=VOCABULARY, padding_id=1)
        width = MODEL.fusion.width
        self.answering = AnswerHead(width, ANSWERS)
        self.classification = AnswerHead(width, CLASSES)
        self.ranking = nn.Linear(2 * width, 1)


def entities(theirs_BE: Tensor) -> tuple[Tensor, Tensor]:
    """Ids with 0 where there is none, and whether there is one."""
    return theirs_BE.clamp(min=0), theirs_BE >= 0


def pixels(normalised: Tensor) -> Tensor:
    """The values that ``VisionEncoder.normalise`` turns into these again; they need not be whole numbers."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    return (normalised * std + mean) * 255


def label_lists(multi_hot_BN: Tensor) -> Tensor:
    """int64 [B, F]: the ids of the ones, -1 padded."""
    width = int(multi_hot_BN.sum(1).max())
    rows = [row.nonzero()[:, 0] for row in multi_hot_BN]
    return torch.stack([torch.cat([row, torch.full((width - len(row),), -1)]) for row in rows])
