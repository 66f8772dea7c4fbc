"""A view: one modality and one region, with the findings that may occur in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from numpy.random import Generator

from medvlp.corpora.phantom.canvas import Canvas, Mask

SIZES = ("small", "moderate", "large")
SEVERITIES = ("mild", "moderate", "severe")


@dataclass(frozen=True, slots=True)
class Place:
    """A possible place of a finding. ``side`` is the patient's, so "right" is on the left of the image."""

    site: str
    x: float = 0.5
    y: float = 0.5
    side: Literal["left", "right", ""] = ""
    covers: tuple[str, ...] = ()
    """Other sites that a finding at this place would hide."""

    @property
    def outward(self) -> float:
        """Direction of x away from the midline."""
        return -1.0 if self.side == "right" else 1.0


DrawFinding = Callable[[Canvas, Place, float, Generator], Mask]
"""Paints a finding with an extent between 0 and 1 at a place, and returns its mask."""


@dataclass(frozen=True, slots=True)
class FindingKind:
    """The appearance of a finding in one view. All names come from the phantom ontology."""

    name: str
    organ: str
    """Its site in the ontology; every place lies in it."""
    draw: DrawFinding
    places: tuple[Place, ...]
    weight: float = 1.0
    """Its frequency, relative to the others of the view."""
    sizes: tuple[str, ...] = SIZES
    wander: float = 0.0
    """Maximum distance from its place, in x and y."""

    @property
    def sided(self) -> bool:
        """Whether it occurs on the left and on the right."""
        return {"left", "right"} <= {place.side for place in self.places}


@dataclass(frozen=True, slots=True)
class View:
    """A kind of image."""

    modality: str
    technique: str
    """The modality without the region: "radiograph" of the "thorax"."""
    region: str
    kinds: tuple[FindingKind, ...]
    draw_anatomy: Callable[[Canvas, Generator], None]
    finish: Callable[[Canvas, Generator], None]
    """Effects of the device on the finished picture: noise, speckle, the shape of the beam."""

    def kind(self, name: str) -> FindingKind:
        """Return the finding with this name."""
        return next(kind for kind in self.kinds if kind.name == name)


def grow(extent: float, smallest: float, largest: float) -> float:
    """Return a length for an extent between 0 and 1."""
    return smallest + extent * (largest - smallest)


def both_sides(site: str, x: float, y: float, *covers: str) -> tuple[Place, Place]:
    """Return the place "right <site>" and its mirror image; ``x`` and ``covers`` refer to the right side."""
    right = Place(f"right {site}", x, y, "right", tuple(f"right {name}" for name in covers))
    return right, Place(f"left {site}", 1.0 - x, y, "left", tuple(f"left {name}" for name in covers))
