"""Position embeddings for another image size. Shapes: P patches, W width."""

import torch
from torch import Tensor
from torch.nn import functional as F


def resized_positions(table_PW: Tensor, grid: int) -> Tensor:
    """[1 + grid², W]: the position embeddings for another square grid (bicubic); the first, of the class token, is unchanged."""
    published = round((len(table_PW) - 1) ** 0.5)
    image = table_PW[1:].T.reshape(1, -1, published, published)
    resized = F.interpolate(image, size=(grid, grid), mode="bicubic", align_corners=False)
    return torch.cat([table_PW[:1], resized.flatten(2)[0].T])
