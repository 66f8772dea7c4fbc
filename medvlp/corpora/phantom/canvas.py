"""A greyscale canvas in units of the image side: shapes are soft masks, painted over each other.

Anatomy is laid out once, in the unit square (x to the right, y down); a ``Pose`` moves, scales and turns it as patients do.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

Mask = NDArray[np.float32]
"""[size, size], 0 outside and 1 inside a shape, with values in between along its edge."""


def ramp(values: NDArray[Any]) -> Mask:
    """Return a mask from values: below 0 is outside, above 1 inside."""
    mask: Mask = np.clip(values, 0.0, 1.0).astype(np.float32, copy=False)
    return mask


@dataclass(frozen=True)
class Pose:
    """How the patient lies: shift, scale and rotation of the whole anatomy."""

    shift_x: float = 0.0
    shift_y: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0
    angle: float = 0.0

    @classmethod
    def draw(cls, rng: Generator) -> "Pose":
        """Draw a small random deviation from the standard pose."""
        shift_x, shift_y = rng.uniform(-0.025, 0.025, 2)
        scale_x, scale_y = rng.uniform(0.94, 1.04, 2)
        return cls(float(shift_x), float(shift_y), float(scale_x), float(scale_y), float(rng.uniform(-0.06, 0.06)))


class Canvas:
    """Pixels between 0 (black) and 1 (white), and the anatomical coordinates of each."""

    def __init__(self, size: int, pose: Pose) -> None:
        self.size = size
        self.pixels: Mask = np.zeros((size, size), dtype=np.float32)
        ticks = (np.arange(size, dtype=np.float32) + 0.5) / size - 0.5
        u = (ticks[None, :] - pose.shift_x) / pose.scale_x
        v = (ticks[:, None] - pose.shift_y) / pose.scale_y
        cosine, sine = np.float32(np.cos(pose.angle)), np.float32(np.sin(pose.angle))
        self.x: Mask = (u * cosine + v * sine + 0.5).astype(np.float32)
        self.y: Mask = (v * cosine - u * sine + 0.5).astype(np.float32)

    def ellipse(self, x: float, y: float, rx: float, ry: float | None = None, *, angle: float = 0.0, edge: float = 0.015) -> Mask:
        """Return an ellipse around (x, y), rotated by ``angle``, with an edge of width ``edge``."""
        ry = rx if ry is None else ry
        u, v = self._turned(x, y, angle)
        distance = np.sqrt((u / np.float32(rx)) ** 2 + (v / np.float32(ry)) ** 2)
        return self._soft((1.0 - distance) * np.float32(min(rx, ry)), edge)

    def blob(self, x: float, y: float, radius: float, rng: Generator, *, roughness: float = 0.12, edge: float = 0.015) -> Mask:
        """Return a round shape with an irregular outline."""
        distance, angle = self.polar(x, y)
        outline = np.ones_like(angle)
        for lobes in (2, 3, 5, 7):
            outline += np.float32(rng.uniform(0.4, 1.0) * roughness) * np.cos(lobes * angle + np.float32(rng.uniform(0, 2 * np.pi)))
        return self._soft(np.float32(radius) * outline - distance, edge)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, *, edge: float = 0.01) -> Mask:
        """Return a straight stroke with round ends."""
        (x0, y0), (x1, y1) = start, end
        dx, dy = x1 - x0, y1 - y0
        along = np.clip(((self.x - x0) * dx + (self.y - y0) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
        distance = np.hypot(self.x - x0 - along * dx, self.y - y0 - along * dy)
        return self._soft(np.float32(width / 2) - distance, edge)

    def box(self, x: float, y: float, half_width: float, half_height: float, *, angle: float = 0.0, edge: float = 0.01) -> Mask:
        """Return a rectangle around (x, y), rotated by ``angle``."""
        u, v = self._turned(x, y, angle)
        return self._soft(np.minimum(half_width - np.abs(u), half_height - np.abs(v)), edge)

    def below(self, level: Mask | float, *, edge: float = 0.015) -> Mask:
        """Return everything below ``level``, a height or a height per pixel."""
        return self._soft(self.y - level, edge)

    def polar(self, x: float, y: float) -> tuple[Mask, Mask]:
        """Return the distance from (x, y) and the angle around it, clockwise from the right."""
        u, v = self.x - np.float32(x), self.y - np.float32(y)
        return np.hypot(u, v), np.arctan2(v, u)

    def clouds(self, rng: Generator, cells: int) -> Mask:
        """Return smooth noise around 0 with a deviation near 1 and ``cells`` grains across the image."""
        grains = Image.fromarray(rng.standard_normal((cells, cells), dtype=np.float32))
        return np.asarray(grains.resize((self.size, self.size), Image.Resampling.BICUBIC), dtype=np.float32)

    def paint(self, mask: Mask, value: Mask | float) -> None:
        """Cover what is under ``mask`` with ``value``."""
        self.pixels += mask * (value - self.pixels)

    def add(self, mask: Mask, value: float) -> None:
        """Lighten (or darken, below 0) what is under ``mask``."""
        self.pixels += mask * np.float32(value)

    def expose(self, rng: Generator, *, noise: float) -> None:
        """Vary brightness and contrast as devices do, and add detector noise."""
        contrast, brightness = rng.uniform(0.9, 1.1), rng.uniform(-0.04, 0.04)
        self.pixels = (self.pixels - np.float32(0.5)) * np.float32(contrast) + np.float32(0.5 + brightness)
        self.pixels += np.float32(noise) * rng.standard_normal(self.pixels.shape, dtype=np.float32)

    def jpeg(self, quality: int = 90) -> bytes:
        """Return the picture as an 8-bit greyscale JPEG file."""
        grey = (np.clip(self.pixels, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
        buffer = io.BytesIO()
        Image.fromarray(grey).save(buffer, format="JPEG", quality=quality)
        return buffer.getvalue()

    def _turned(self, x: float, y: float, angle: float) -> tuple[Mask, Mask]:
        u, v = self.x - np.float32(x), self.y - np.float32(y)
        if angle == 0.0:
            return u, v
        cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
        return u * cosine + v * sine, v * cosine - u * sine

    def _soft(self, inside: NDArray[Any], edge: float) -> Mask:
        """Return a mask from a signed distance; never sharper than a pixel, so that shapes look alike at every size."""
        width = np.float32(max(edge, 1.0 / self.size))
        return ramp(inside / width + np.float32(0.5))
