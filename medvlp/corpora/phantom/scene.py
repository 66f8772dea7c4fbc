"""Scenes: the findings and their places in a view, and the picture."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from medvlp.corpora.phantom.abdomen import ABDOMEN
from medvlp.corpora.phantom.brain import BRAIN
from medvlp.corpora.phantom.canvas import Canvas, Mask, Pose
from medvlp.corpora.phantom.chest import CHEST
from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.truth import Box, PlacedFinding, Truth
from medvlp.corpora.phantom.ultrasound import ULTRASOUND
from medvlp.corpora.phantom.view import FindingKind, Place, View

VIEWS = (CHEST, ABDOMEN, BRAIN, ULTRASOUND)
COUNT_RATES = (0.2, 0.4, 0.28, 0.12)
"""Frequency of images with 0, 1, 2, 3 findings."""

Streams = Callable[[str], Generator]
"""The random numbers of one image, by purpose: one part of a scene can change without the others."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One finding to draw."""

    kind: FindingKind
    place: Place
    size: str
    extent: float
    """Between 0 and 1; its third determines ``size``."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A view and the findings to draw, in this order."""

    view: View
    choices: tuple[Choice, ...]


def compose(view: View, rng: Generator, *, count: int | None = None, required: str = "", forbidden: str = "") -> Scene:
    """Compose a random scene of ``view``.

    It has ``count`` findings (by default sampled with ``COUNT_RATES``), including the kind ``required`` and excluding the kind
    ``forbidden``. Findings that would hide each other are never combined.
    """
    wanted = int(rng.choice(len(COUNT_RATES), p=COUNT_RATES)) if count is None else count
    wanted = max(wanted, 1) if required else wanted
    order = [kind for kind in _shuffled(view.kinds, rng) if kind.name not in (required, forbidden)]
    if required:
        order.insert(0, view.kind(required))
    choices: list[Choice] = []
    hidden: set[str] = set()
    for kind in order:
        free = [place for place in kind.places if hidden.isdisjoint({place.site, *place.covers})]
        if len(choices) < wanted and free:
            place = free[rng.integers(len(free))]
            hidden.update({place.site, *place.covers})
            choices.append(_choose(kind, place, rng))
    # In the order of the view: fluid lies behind a pacemaker, an enlarged heart behind a nodule.
    return Scene(view, tuple(sorted(choices, key=lambda choice: view.kinds.index(choice.kind))))


def _shuffled(kinds: Collection[FindingKind], rng: Generator) -> list[FindingKind]:
    """Shuffle all kinds; those with a larger weight come first more often."""
    arrivals = [(rng.exponential(1.0 / kind.weight), kind) for kind in kinds]
    return [kind for _, kind in sorted(arrivals, key=lambda arrival: arrival[0])]


def _choose(kind: FindingKind, place: Place, rng: Generator) -> Choice:
    extent = float(rng.random())
    size = kind.sizes[int(extent * len(kind.sizes))] if kind.sizes else ""
    x, y = rng.uniform(-kind.wander, kind.wander, 2)
    return Choice(kind, replace(place, x=place.x + float(x), y=place.y + float(y)), size, extent)


def draw(scene: Scene, size: int, streams: Streams) -> tuple[bytes, Truth]:
    """Draw a scene as a JPEG file, and return its ground truth."""
    canvas, masks = paint(scene, size, streams)
    findings = tuple(_placed(choice, mask) for choice, mask in zip(scene.choices, masks, strict=True))
    return canvas.jpeg(), Truth(scene.view.modality, findings)


def paint(scene: Scene, size: int, streams: Streams) -> tuple[Canvas, list[Mask]]:
    """Paint the canvas of a scene; return it with the mask of each finding."""
    anatomy = streams("anatomy")
    canvas = Canvas(size, Pose.draw(anatomy))
    scene.view.draw_anatomy(canvas, anatomy)
    masks = [choice.kind.draw(canvas, choice.place, choice.extent, streams(choice.kind.name)) for choice in scene.choices]
    scene.view.finish(canvas, streams("device"))
    return canvas, masks


def _placed(choice: Choice, mask: Mask) -> PlacedFinding:
    concept = lexicon().concept(choice.kind.name)
    return PlacedFinding(concept.name, concept.id, choice.place.side, choice.place.site, choice.size, _box(mask))


def _box(mask: Mask) -> Box:
    rows, columns = np.flatnonzero(mask.max(axis=1) > 0.5), np.flatnonzero(mask.max(axis=0) > 0.5)
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    side = len(mask)
    return round(left / side, 4), round(top / side, 4), round(right / side, 4), round(bottom / side, 4)
