"""The smallest ARL that has everything, and rows and batches for it."""

import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from medvlp.data.batch import PretrainBatch
from medvlp.data.collate import PretrainCollate
from medvlp.data.image import ImageConfig
from medvlp.data.masking import MaskingConfig
from medvlp.data.sample import StreamRow
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import train_tokenizer
from medvlp.knowledge.bundle import Entity, KnowledgeBundle, Provenance
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights
from medvlp.tasks.pretrain.module import PretrainingModule
from medvlp.tasks.pretrain.task import Pretraining

NAMES = ("effusion", "nodule", "mass", "cyst", "stone", "fracture", "oedema", "pneumothorax")
TEXTS = tuple(f"there is a {side} {name} in the image" for name in NAMES for side in ("left", "right", "large"))
VOCABULARY = 330
TEXT = TextConfig(maximum_tokens=24, maximum_entities=4, width_multiple=8)
IMAGE = ImageConfig(size=16)


@cache
def tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level BPE of ``VOCABULARY`` tokens."""
    return train_tokenizer(TEXTS, VOCABULARY)


def bundle(width: int = 8) -> KnowledgeBundle:
    """A ring of the ``NAMES``; the first two are findings of another type."""
    count = len(NAMES)
    triples = torch.tensor([[index, 0, (index + 1) % count] for index in range(count)])
    vectors = torch.randn(count, width, generator=torch.Generator().manual_seed(0))
    entities = tuple(Entity(name, name, "finding" if index > 1 else "other", count - index) for index, name in enumerate(NAMES))
    return KnowledgeBundle(entities, ("beside",), triples, vectors, Provenance("tiny", "abc", "def", "tiny-1", 1))


def model_config(dropout: float = 0.0) -> ARLConfig:
    """Three fusion layers of width 16 on 4 patches."""
    return ARLConfig(
        vision=VisionConfig(width=16, layers=2, heads=2, patch=8, image_size=16),
        language=LanguageConfig(width=16, layers=1, heads=2, feed_forward=32, dropout=dropout, positions=40),
        knowledge=KnowledgeConfig(hidden_heads=2, hidden_width=4, dropout=dropout),
        fusion=FusionConfig(width=16, layers=3, heads=2, feed_forward=32, dropout=dropout, knowledge_heads=2, knowledge_feed_forward=16),
    )


def pretext_config(**weights: float) -> Pretraining:
    """All objectives; ``weights`` replace the paper's."""
    masked_image = MaskedImageConfig(share=0.5, layer=2, width=8, layers=1, heads=2)
    return Pretraining(weights=ObjectiveWeights(**weights), masked_image=masked_image)


def pretraining_module(model: ARLConfig | None = None, seed: int = 0, **weights: float) -> PretrainingModule:
    """The task with weights drawn from ``seed``, large enough for every difference to show."""
    torch.manual_seed(seed)
    task = PretrainingModule(model or model_config(), pretext_config(**weights), bundle(), vocabulary=VOCABULARY, padding_id=1)
    with torch.no_grad():
        for parameter in task.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return task


def encoded_image(seed: int = 0, size: tuple[int, int] = (20, 24), image_format: str = "PNG") -> bytes:
    """Coloured noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format)
    return buffer.getvalue()


def stream_row(position: int, text: str = "", modality: str = "CT", image: bytes | None = None, epoch: int = 0) -> StreamRow:
    """A row whose text names entities of ``bundle``, each linked."""
    text = text or f"there is a left {NAMES[position % len(NAMES)]} and a {NAMES[(position + 3) % len(NAMES)]} in the image"
    found = sorted((text.index(name), name) for name in NAMES if name in text)
    spans = tuple((start, start + len(name), NAMES.index(name)) for start, name in found)
    return StreamRow(
        position=position,
        epoch=epoch,
        key=f"{position:09d}",
        shard=f"train-{position // 10:05d}.tar",
        image=encoded_image(position) if image is None else image,
        text=text,
        spans=spans,
        image_entities=tuple(sorted({entity for *_, entity in spans} | {position % 3})),
        modality=modality,
    )


def collate(augment: bool = True, **changes: object) -> PretrainCollate:
    """The collate that fits ``model_config``."""
    settings = {"masking": MaskingConfig(), "negatives": "same_modality", "seed": 0, "text": TEXT, "image": IMAGE, **changes}
    return PretrainCollate(tokenizer=tokenizer(), augment=augment, **settings)  # type: ignore[arg-type]


def pretrain_batch(size: int = 6, first: int = 0, modalities: Sequence[str] = ("CT", "MR"), broken: Sequence[int] = ()) -> PretrainBatch:
    """A collated batch; the images of the rows ``broken`` do not decode."""
    rows = [stream_row(first + index, modality=modalities[index % len(modalities)]) for index in range(size)]
    return collate()([replace(row, image=b"no image") if index in broken else row for index, row in enumerate(rows)])
