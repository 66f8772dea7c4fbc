"""The axial FLAIR slice of brain magnetic resonance imaging: fluid black, brain grey, oedema and scars white."""

import numpy as np
from numpy.random import Generator

from medvlp.corpora.phantom.canvas import Canvas, Mask, ramp
from medvlp.corpora.phantom.view import SEVERITIES, FindingKind, Place, View, both_sides, grow

CEREBROSPINAL_FLUID = 0.05
WHITE_MATTER = 0.38
GREY_MATTER = 0.5
LESION = 0.95


def _brain(canvas: Canvas, shrink: float = 0.0, shift: float = 0.0) -> Mask:
    return canvas.ellipse(0.5 + shift, 0.5, 0.335 - shrink, 0.405 - shrink)


def _ventricles(canvas: Canvas, width: float, length: float) -> Mask:
    """The butterfly of the two lateral ventricles."""
    mask = np.zeros_like(canvas.pixels)
    for outward in (-1.0, 1.0):
        front = canvas.ellipse(0.5 + outward * (0.02 + width), 0.5 - length * 0.55, width, length * 0.6, angle=outward * 0.35)
        back = canvas.ellipse(0.5 + outward * (0.025 + width), 0.5 + length * 0.55, width, length * 0.6, angle=-outward * 0.4)
        mask = np.maximum(mask, np.maximum(front, back))
    return mask


def _draw_anatomy(canvas: Canvas, rng: Generator) -> None:
    canvas.paint(canvas.ellipse(0.5, 0.5, 0.4, 0.47), 0.7)
    canvas.paint(canvas.ellipse(0.5, 0.5, 0.38, 0.45), 0.08)
    canvas.paint(_brain(canvas), GREY_MATTER + 0.03 * canvas.clouds(rng, 16))
    _, angle = canvas.polar(0.5, 0.5)
    folds = ramp(np.cos(angle * np.float32(rng.integers(22, 28)) + np.float32(rng.uniform(0, 6))))
    canvas.add(_brain(canvas) * (1.0 - _brain(canvas, 0.05)) * folds, -0.22)
    canvas.paint(canvas.ellipse(0.5, 0.5, 0.25, 0.32, edge=0.05), WHITE_MATTER + 0.02 * canvas.clouds(rng, 12))
    for start, end in ((0.1, 0.3), (0.7, 0.9)):
        canvas.paint(canvas.line((0.5, start), (0.5, end), 0.012), 0.15)
    for x in (0.39, 0.61):
        canvas.paint(canvas.ellipse(x, 0.49, 0.035, 0.06), GREY_MATTER + 0.03)
    canvas.paint(_ventricles(canvas, rng.uniform(0.02, 0.026), 0.1), CEREBROSPINAL_FLUID)


def _finish(canvas: Canvas, rng: Generator) -> None:
    bias = canvas.clouds(rng, 3)  # coils do not receive evenly
    canvas.pixels *= 1.0 + np.float32(0.04) * bias
    canvas.expose(rng, noise=0.02)


def _draw_glioblastoma(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw an irregular bright ring around dead tissue, in a halo of oedema."""
    radius = grow(extent, 0.085, 0.115)
    halo: Mask = canvas.blob(place.x, place.y, radius * 1.35, rng, roughness=0.08, edge=0.03) * _brain(canvas)
    canvas.paint(halo, 0.66)
    canvas.paint(canvas.blob(place.x, place.y, radius, rng, roughness=0.07), 1.0)
    canvas.paint(canvas.blob(place.x, place.y, radius * 0.5, rng), 0.25)
    return halo


def _draw_infarct(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a bright wedge with its base on the cortex."""
    distance, angle = canvas.polar(0.5, 0.5)
    middle = np.arctan2(place.y - 0.5, place.x - 0.5)
    offset = np.abs((angle - np.float32(middle) + np.float32(np.pi)) % np.float32(2 * np.pi) - np.float32(np.pi))
    wedge = ramp((np.float32(grow(extent, 0.3, 0.48)) - offset) * 14)
    mask = wedge * ramp((distance - np.float32(0.15)) * 50) * _brain(canvas)
    canvas.paint(mask, 0.9)
    return mask


def _draw_haemorrhage(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a black clot with a white rim, deep in the hemisphere."""
    long, short = grow(extent, 0.1, 0.13), grow(extent, 0.07, 0.09)
    mask = canvas.ellipse(place.x, place.y, short, long, angle=place.outward * 0.2)
    canvas.paint(mask, 1.0)
    canvas.paint(canvas.ellipse(place.x, place.y, short - 0.022, long - 0.022, angle=place.outward * 0.2), 0.0)
    return mask


def _draw_hydrocephalus(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    mask = _ventricles(canvas, grow(extent, 0.055, 0.075), grow(extent, 0.16, 0.19))
    canvas.paint(mask, CEREBROSPINAL_FLUID)
    return mask


def _draw_plaques(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw white ovals that stand like fingers around the ventricles, on both sides."""
    mask = np.zeros_like(canvas.pixels)
    for outward in (-1.0, 1.0):
        for y in (0.32, 0.42, 0.58, 0.68):
            x, height = 0.5 + outward * rng.uniform(0.12, 0.16), y + rng.uniform(-0.015, 0.015)
            oval = canvas.ellipse(float(x), float(height), grow(extent, 0.03, 0.04), grow(extent, 0.016, 0.022), angle=outward * (y - 0.5))
            mask = np.maximum(mask, oval)
    canvas.paint(mask, LESION)
    return mask


def _draw_subdural_haematoma(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a white crescent between skull and brain."""
    thickness = grow(extent, 0.05, 0.085)
    mask = _brain(canvas, -0.02) * (1.0 - _brain(canvas, thickness * 0.35, -place.outward * thickness))
    mask = mask * ramp((canvas.x - np.float32(0.5)) * np.float32(place.outward) * 20)
    canvas.paint(mask, 1.0)
    return mask


def _draw_arachnoid_cyst(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a sharp pool of fluid that pushes the temporal pole back."""
    mask = canvas.ellipse(place.x, place.y, grow(extent, 0.08, 0.1), grow(extent, 0.1, 0.125), angle=place.outward * 0.5, edge=0.01)
    mask = mask * _brain(canvas, -0.015)
    canvas.paint(mask, CEREBROSPINAL_FLUID)
    return mask


def _draw_meningioma(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a homogeneous white ball on the falx."""
    y = 0.23 if rng.random() < 0.5 else 0.77
    mask = canvas.ellipse(place.x, y, grow(extent, 0.065, 0.09))
    canvas.paint(mask, LESION)
    return mask


_FRONTAL = both_sides("frontal lobe", 0.37, 0.29)
_PARIETAL = both_sides("parietal lobe", 0.34, 0.68, "occipital lobe", "temporal lobe")
_TEMPORAL = both_sides("temporal lobe", 0.25, 0.53, "basal ganglia", "subdural space", "parietal lobe")
_DEEP = both_sides("basal ganglia", 0.37, 0.5, "temporal lobe")
_SUBDURAL = both_sides("subdural space", 0.2, 0.5, "temporal lobe")
_MIDDLE_FOSSA = both_sides("middle cranial fossa", 0.28, 0.36, "frontal lobe")
_OCCIPITAL = both_sides("occipital lobe", 0.36, 0.8, "parietal lobe")

BRAIN = View(
    modality="brain MRI",
    technique="magnetic resonance imaging",
    region="head",
    draw_anatomy=_draw_anatomy,
    finish=_finish,
    kinds=(
        FindingKind("hydrocephalus", "ventricular system", _draw_hydrocephalus, (Place("ventricular system"),), 1.1, SEVERITIES),
        FindingKind("multiple sclerosis plaques", "white matter", _draw_plaques, (Place("white matter"),), 1.0),
        FindingKind("arachnoid cyst", "middle cranial fossa", _draw_arachnoid_cyst, _MIDDLE_FOSSA, 0.9),
        FindingKind("cerebral infarction", "brain", _draw_infarct, (*_TEMPORAL, *_OCCIPITAL), 1.5),
        FindingKind("intracerebral haemorrhage", "brain", _draw_haemorrhage, _DEEP, 1.2, wander=0.015),
        FindingKind("subdural haematoma", "subdural space", _draw_subdural_haematoma, _SUBDURAL, 1.1),
        FindingKind("glioblastoma", "brain", _draw_glioblastoma, (*_FRONTAL, *_PARIETAL), 1.1, wander=0.02),
        FindingKind("meningioma", "falx cerebri", _draw_meningioma, (Place("falx cerebri"),), 0.8),
    ),
)
