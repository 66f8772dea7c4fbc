"""Decode images to uint8 arrays. Shapes: S side in pixels."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from medvlp.errors import ConfigurationError

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """How to resize an image for the vision encoder."""

    size: int = 288
    """Side of the square image, in pixels."""
    minimum_crop: float = 0.9
    """Smallest fraction of the area that a random training crop keeps; 1 disables the augmentation (ARL: 0.9)."""

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 < self.minimum_crop <= 1:
            raise ConfigurationError(f"image size {self.size} must be at least 1, minimum_crop {self.minimum_crop} above 0 and at most 1")


class UndecodableImage(Exception):
    """The bytes are not an image that Pillow can read; has a short reason for the counts."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def decode_image(encoded: bytes, config: ImageConfig, generator: np.random.Generator | None = None) -> np.ndarray:
    """Decode, resize the shorter side (bicubic) and crop to uint8 [3, S, S].

    Args:
        encoded: a JPEG or PNG file.
        config: S, and how much a random crop keeps.
        generator: source of the random crop; None crops the centre.

    Raises:
        UndecodableImage: Pillow cannot read it.
    """
    try:
        with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG")) as image:
            # JPEG can be decoded at 1/2, 1/4 or 1/8 of its size for a fraction of the cost.
            image.draft("RGB", (config.size, config.size))
            box = _random_box(image.size, config.minimum_crop, generator) if generator else _centre_box(image.size)
            square = eight_bits(image).convert("RGB").resize((config.size, config.size), Image.Resampling.BICUBIC, box=box)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UndecodableImage(type(error).__name__) from error
    return np.asarray(square, dtype=np.uint8).transpose(2, 0, 1)


def eight_bits(image: Image.Image) -> Image.Image:
    """Convert to eight bits per channel. Pillow itself would clip 16-bit greys: all but the darkest of 65,536 become white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    return image


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
