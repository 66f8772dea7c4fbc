"""Crop and resize images to uint8 arrays. Shapes: S side in pixels."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from medvlp.data.rgb import decode_rgb
from medvlp.values import Checked, Count, PositiveShare

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class ImageConfig(Checked):
    """How to resize an image for the vision encoder."""

    size: Count = 288
    """Side of the square image, in pixels."""
    minimum_crop: PositiveShare = 0.9
    """Smallest fraction of the area that a random training crop keeps; 1 disables the augmentation (ARL: 0.9)."""


def decode_image(image: bytes | Image.Image | np.ndarray, config: ImageConfig, generator: np.random.Generator | None = None) -> np.ndarray:
    """Decode, resize the shorter side (bicubic) and crop to uint8 [3, S, S].

    Args:
        image: the content of a JPEG or PNG file, a Pillow image or an array; see ``decode_rgb``.
        config: S, and how much a random crop keeps.
        generator: source of the random crop; None crops the centre.

    Raises:
        UndecodableImage: it cannot be used.
    """
    # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the cost.
    picture = decode_rgb(image, draft_side=config.size)
    box = _random_box(picture.size, config.minimum_crop, generator) if generator else _centre_box(picture.size)
    square = picture.resize((config.size, config.size), Image.Resampling.BICUBIC, box=box)
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)


def _centre_box(size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return the largest centred square: resizing it equals resizing the shorter side, then cropping the centre."""
    width, height = size
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def _random_box(size: tuple[int, int], minimum_crop: float, generator: np.random.Generator) -> tuple[float, float, float, float]:
    """Return a square with a random fraction of the largest square's area, at a random place inside the centred square."""
    left, top, right, _ = _centre_box(size)
    side = (right - left) * float(np.sqrt(generator.uniform(minimum_crop, 1.0)))
    slack = (right - left) - side
    x, y = left + generator.uniform(0, 1) * slack, top + generator.uniform(0, 1) * slack
    return x, y, x + side, y + side
