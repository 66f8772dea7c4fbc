"""The fusion model: text, image and knowledge streams that attend to each other (ARL §3.3 "reason with knowledge").

Shapes: B samples, L tokens, I image tokens, E entities, H fusion width, K knowledge width.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.model.attention import NORM_EPSILON, AttentionBlock, FeedForwardBlock, attention_bias
from medvlp.model.config import FusionConfig


@dataclass(frozen=True)
class TextContext:
    """The constant inputs of the text and knowledge streams in all layers."""

    text_bias: Tensor
    """[B, 1, 1, L]."""
    entity_bias: Tensor
    """[B, 1, 1, E]."""
    entity_tokens: Tensor
    """[B, E, L], in the dtype of the streams: 1 where a token names an entity."""

    @classmethod
    def build(cls, token_mask_BL: Tensor, entity_mask_BE: Tensor, entity_tokens_BEL: Tensor, like: Tensor) -> "TextContext":
        """Convert masks to additive attention biases; tokens of masked entities name nothing."""
        tokens = entity_tokens_BEL & entity_mask_BE[..., None]
        return cls(attention_bias(token_mask_BL, like.dtype), attention_bias(entity_mask_BE, like.dtype), tokens.to(like.dtype))


class KnowledgePath(nn.Module):
    """The knowledge stream of one layer: entities attend to each other, then to the image, and feed their tokens.

    The last path of a stack feeds its tokens but no further layer reads its stream: it has no feed-forward block.
    """

    def __init__(self, config: FusionConfig, width: int, *, last: bool):
        super().__init__()
        self.self_attention = AttentionBlock(width, config.knowledge_heads, config.dropout)
        self.image_to_knowledge = nn.Linear(config.width, width)
        self.cross_attention = AttentionBlock(width, config.knowledge_heads, config.dropout)
        self.knowledge_to_text = nn.Linear(width, config.width)
        self.feed_forward = None if last else FeedForwardBlock(width, config.knowledge_feed_forward, config.dropout)

    def forward(self, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext) -> tuple[Tensor, Tensor]:
        """Return the entity input of each token [B, L, H], and the new knowledge stream [B, E, K]."""
        entities = self.self_attention(entities_BEK, context.entity_bias)
        entities = self.cross_attention(entities, context_BCV=self.image_to_knowledge(image_BIH))
        heard = context.entity_tokens.transpose(1, 2) @ self.knowledge_to_text(entities)
        return heard, entities if self.feed_forward is None else self.feed_forward(entities)

    def image_attention(self, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext) -> Tensor:
        """[B, heads, E, I]: where each entity looks in the image."""
        entities = self.self_attention(entities_BEK, context.entity_bias)
        return self.cross_attention.attention_map(entities, context_BCV=self.image_to_knowledge(image_BIH))


class FusionLayer(nn.Module):
    """One layer; each stream reads the other streams as they entered the layer."""

    def __init__(self, config: FusionConfig, knowledge: KnowledgePath | None):
        super().__init__()
        width, heads, dropout = config.width, config.heads, config.dropout
        self.dropout = dropout
        self.text_self_attention = AttentionBlock(width, heads, dropout)
        self.text_cross_attention = AttentionBlock(width, heads, dropout)
        self.knowledge = knowledge
        self.knowledge_output = nn.Linear(width, width)
        self.knowledge_norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.text_feed_forward = FeedForwardBlock(width, config.feed_forward, dropout)
        self.image_self_attention = AttentionBlock(width, heads, dropout)
        self.image_cross_attention = AttentionBlock(width, heads, dropout)
        self.image_feed_forward = FeedForwardBlock(width, config.feed_forward, dropout)

    def forward(self, text_BLH: Tensor, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext) -> tuple[Tensor, Tensor, Tensor]:
        """Return all three streams after the layer."""
        text, entities = self.text(text_BLH, image_BIH, entities_BEK, context)
        return text, self.image(text_BLH, image_BIH, context), entities

    def text(self, text_BLH: Tensor, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext) -> tuple[Tensor, Tensor]:
        """Return the text [B, L, H] and knowledge [B, E, K] streams."""
        text = self.text_self_attention(text_BLH, context.text_bias)
        text = self.text_cross_attention(text, context_BCV=image_BIH)
        heard, entities = text, entities_BEK
        if self.knowledge is not None:
            update, entities = self.knowledge(image_BIH, entities_BEK, context)
            heard = text + update
        text = self.knowledge_norm(text + F.dropout(self.knowledge_output(heard), self.dropout, self.training))
        return self.text_feed_forward(text), entities

    def image(self, text_BLH: Tensor, image_BIH: Tensor, context: TextContext) -> Tensor:
        """Return the image stream [B, I, H]."""
        image = self.image_self_attention(image_BIH)
        image = self.image_cross_attention(image, context.text_bias, text_BLH)
        return self.image_feed_forward(image)


class FusionEncoder(nn.Module):
    """The stack of fusion layers."""

    def __init__(self, config: FusionConfig, knowledge_width: int):
        super().__init__()
        paths = config.knowledge_paths
        unheard = None if config.last_layer_knowledge else paths - 1
        knowledge = [KnowledgePath(config, knowledge_width, last=index == unheard) for index in range(paths)]
        self.layers = nn.ModuleList(FusionLayer(config, path) for path in [*knowledge, *[None] * (config.layers - paths)])

    @property
    def _stack(self) -> list[FusionLayer]:
        return [cast(FusionLayer, layer) for layer in self.layers]

    def forward(
        self, text_BLH: Tensor, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext, pooled_rows: int | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pass all three streams through all layers.

        Args:
            text_BLH: text stream.
            image_BIH: image stream.
            entities_BEK: knowledge stream.
            context: masks, and which tokens name which entity.
            pooled_rows: number of rows, counted from the end, whose final image stream is needed (the others read text tokens only); the
                last layer computes only these. None for all rows.

        Returns:
            text [B, L, H], image [B or ``pooled_rows``, I, H], entities [B, E, K].
        """
        text, image, entities = text_BLH, image_BIH, entities_BEK
        *layers, last = self._stack
        for layer in layers:
            text, image, entities = layer(text, image, entities, context)
        skipped = 0 if pooled_rows is None else len(text) - pooled_rows
        tail = TextContext(context.text_bias[skipped:], context.entity_bias[skipped:], context.entity_tokens[skipped:])
        pooled = last.image(text[skipped:], image[skipped:], tail)
        text, entities = last.text(text, image, entities, context)
        return text, pooled, entities

    def image_features(self, text_BLH: Tensor, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext, layers: int) -> Tensor:
        """[B, I, H]: the image stream after the first ``layers`` layers; nothing else is computed."""
        text, image, entities = text_BLH, image_BIH, entities_BEK
        if layers == 0:
            return image
        for layer in self._stack[: layers - 1]:
            text, image, entities = layer(text, image, entities, context)
        return self._stack[layers - 1].image(text, image, context)

    def entity_attention(self, text_BLH: Tensor, image_BIH: Tensor, entities_BEK: Tensor, context: TextContext) -> Tensor:
        """[layers, B, E, I]: where each entity looks in the image, mean over heads, for every layer with a knowledge path."""
        text, image, entities = text_BLH, image_BIH, entities_BEK
        maps = []
        for layer in self._stack:
            if layer.knowledge is not None:
                maps.append(layer.knowledge.image_attention(image, entities, context).mean(1))
            text, image, entities = layer(text, image, entities, context)
        return torch.stack(maps)
