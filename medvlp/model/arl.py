"""ARL: encoders, knowledge graph and fusion model, assembled; heads live with their objectives.

Shapes: B samples, S image side, I image tokens, L tokens, E entities of a text, N entities of the graph,
H fusion width, K knowledge width.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import ARLConfig
from medvlp.model.fusion import FusionEncoder, TextContext
from medvlp.model.knowledge import KnowledgeEncoder
from medvlp.model.language import LanguageEncoder
from medvlp.model.vision import VisionEncoder


@dataclass(frozen=True)
class Streams:
    """The inputs of the fusion model."""

    text: Tensor
    """[B, L, H]."""
    image: Tensor
    """[B, I, H]."""
    entities: Tensor
    """[B, E, K], zero rows where there is no entity."""
    context: TextContext

    @classmethod
    def cat(cls, parts: "list[Streams]") -> "Streams":
        """Concatenate the rows of all parts into one batch."""
        context = TextContext(
            *(torch.cat([getattr(part.context, name) for part in parts]) for name in ("text_bias", "entity_bias", "entity_tokens"))
        )
        return cls(
            torch.cat([part.text for part in parts]),
            torch.cat([part.image for part in parts]),
            torch.cat([part.entities for part in parts]),
            context,
        )


class ARL(nn.Module):
    """The model without its heads."""

    def __init__(self, config: ARLConfig, bundle: KnowledgeBundle, *, vocabulary: int, padding_id: int):
        super().__init__()
        self.config = config
        width = config.fusion.width
        self.vision = VisionEncoder(config.vision)
        self.language = LanguageEncoder(config.language, vocabulary=vocabulary, padding_id=padding_id)
        self.knowledge = KnowledgeEncoder(config.knowledge, bundle)
        self.image_projection = nn.Linear(config.vision.width, width)
        self.text_projection = nn.Linear(config.language.width, width)
        self.stream_type = nn.Embedding(2, width)
        self.fusion = FusionEncoder(config.fusion, self.knowledge.width)
        self.text_pooler = nn.Linear(width, width)
        self.image_pooler = nn.Linear(width, width)
        for module in (self.image_projection, self.text_projection, self.stream_type, self.fusion, self.text_pooler, self.image_pooler):
            initialise(module, config.initial_deviation)

    def encode_texts(self, token_ids_BL: Tensor, token_mask_BL: Tensor) -> Tensor:
        """[B, L, H]: the text stream as it enters fusion."""
        states = self.language(token_ids_BL, token_mask_BL)
        return self.text_projection(states) + self._type(0, states)

    def encode_images(self, pixels_B3SS: Tensor, kept_BK: Tensor | None = None) -> Tensor:
        """[B, I, H]: the image stream as it enters fusion; ``kept_BK`` as in ``VisionEncoder``."""
        states = self.vision(pixels_B3SS, kept_BK)
        return self.image_projection(states) + self._type(1, states)

    def streams(
        self, text_BLH: Tensor, image_BIH: Tensor, graph_NK: Tensor, token_mask_BL: Tensor, entity_ids_BE: Tensor,
        entity_mask_BE: Tensor, entity_tokens_BEL: Tensor,
    ) -> Streams:  # fmt: skip
        """Combine encoded texts, encoded images and the entities that the texts mention."""
        entities = graph_NK[entity_ids_BE] * entity_mask_BE[..., None].to(graph_NK.dtype)
        context = TextContext.build(token_mask_BL, entity_mask_BE, entity_tokens_BEL, text_BLH)
        return Streams(text_BLH, image_BIH, entities, context)

    def fuse(self, streams: Streams, pooled_rows: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the text stream [B, L, H], and the pooled pair [``pooled_rows``, 2H] of the last ``pooled_rows`` rows (None for all)."""
        text, image, _ = self.fusion(streams.text, streams.image, streams.entities, streams.context, pooled_rows)
        pooled_text = torch.tanh(self.text_pooler(text[len(text) - len(image) :, 0]))
        pooled_image = torch.tanh(self.image_pooler(image[:, 0]))
        return text, torch.cat([pooled_text, pooled_image], dim=-1)

    def _type(self, index: int, like: Tensor) -> Tensor:
        # Called as a module: ZeRO-3 gathers a module's parameters around its own forward only.
        return self.stream_type(torch.tensor(index, device=like.device))


def initialise(module: nn.Module, deviation: float) -> None:
    """Initialise every new linear layer, embedding and LayerNorm inside ``module`` as BERT does."""
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=deviation)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
        if isinstance(part, nn.LayerNorm):
            nn.init.ones_(part.weight)
            nn.init.zeros_(part.bias)
