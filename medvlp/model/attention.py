"""Attention and feed-forward blocks with LayerNorm after the residual, as in BERT.

Shapes: B batch, Q queries, C context positions, W width of the queries, V width of the context.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NORM_EPSILON = 1e-12
MASKED = -10000.0
"""Added to the logits of masked positions. Finite on purpose: a row whose whole context is masked stays finite."""


def attention_bias(mask_BC: Tensor, dtype: torch.dtype) -> Tensor:
    """[B, 1, 1, C]: 0 where ``mask_BC`` is True, ``MASKED`` elsewhere."""
    return ((~mask_BC).to(dtype) * MASKED)[:, None, None, :]


class AttentionBlock(nn.Module):
    """LN(x + drop(W · MHA(x, context))): self-attention if no context is given."""

    def __init__(self, width: int, heads: int, dropout: float, context_width: int | None = None):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(context_width or width, width)
        self.value = nn.Linear(context_width or width, width)
        self.output = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)

    def forward(self, x_BQW: Tensor, bias_B11C: Tensor | None = None, context_BCV: Tensor | None = None) -> Tensor:
        """[B, Q, W]. ``bias_B11C`` is added to the attention logits."""
        query, key, value = self._projections(x_BQW, context_BCV)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias_B11C, dropout_p=dropout)
        update = self.output(mixed.transpose(1, 2).flatten(2))
        return self.norm(x_BQW + F.dropout(update, self.dropout, self.training))

    def attention_map(self, x_BQW: Tensor, bias_B11C: Tensor | None = None, context_BCV: Tensor | None = None) -> Tensor:
        """[B, heads, Q, C]: the attention weights, computed only for pictures."""
        query, key, _ = self._projections(x_BQW, context_BCV)
        logits = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        return (logits if bias_B11C is None else logits + bias_B11C).softmax(-1)

    def _projections(self, x_BQW: Tensor, context_BCV: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        context = x_BQW if context_BCV is None else context_BCV
        projected = (self.query(x_BQW), self.key(context), self.value(context))
        query, key, value = (states.unflatten(-1, (self.heads, -1)).transpose(1, 2) for states in projected)
        return query, key, value


class FeedForwardBlock(nn.Module):
    """LN(x + drop(W2 · GELU(W1 · x)))."""

    def __init__(self, width: int, hidden: int, dropout: float):
        super().__init__()
        self.hidden = nn.Linear(width, hidden)
        self.output = nn.Linear(hidden, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.dropout = dropout

    def forward(self, x_BQW: Tensor) -> Tensor:
        """[B, Q, W]."""
        update = self.output(F.gelu(self.hidden(x_BQW)))
        return self.norm(x_BQW + F.dropout(update, self.dropout, self.training))
