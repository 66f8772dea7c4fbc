"""Weighted means that ignore samples of weight zero and never divide by zero."""

from torch import Tensor


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return Σ values·weights / max(Σ weights, 1), in float32; ``weights`` broadcasts to ``values``."""
    weights = weights.float().expand_as(values)
    return (values.float() * weights).sum() / weights.sum().clamp(min=1)
