"""The axial CT slice through the upper abdomen, in a narrow window: fat dark, water grey, organs pale, bone white."""

import numpy as np
from numpy.random import Generator

from medvlp.corpora.phantom.canvas import Canvas, Mask
from medvlp.corpora.phantom.view import SEVERITIES, FindingKind, Place, View, both_sides, grow

FAT = 0.16
WATER = 0.33
MUSCLE = 0.5
LIVER = 0.62
KIDNEY = 0.76
KIDNEY_X, KIDNEY_Y = 0.3, 0.66


def _cavity(canvas: Canvas, shrink: float = 0.0) -> Mask:
    return canvas.ellipse(0.5, 0.51, 0.405 - shrink, 0.325 - shrink)


def _draw_anatomy(canvas: Canvas, rng: Generator) -> None:
    canvas.paint(canvas.ellipse(0.5, 0.52, 0.47, 0.39), FAT + 0.12)
    canvas.paint(canvas.ellipse(0.5, 0.52, 0.455, 0.375), FAT)
    canvas.paint(canvas.ellipse(0.5, 0.515, 0.425, 0.345), MUSCLE)
    canvas.paint(_cavity(canvas), FAT)
    _draw_spine(canvas)
    _draw_organs(canvas, rng)
    for x in (KIDNEY_X, 1.0 - KIDNEY_X):
        canvas.paint(canvas.ellipse(x, KIDNEY_Y, 0.072, 0.09, angle=0.3 if x < 0.5 else -0.3), KIDNEY)
        canvas.paint(canvas.ellipse(x + (0.03 if x < 0.5 else -0.03), KIDNEY_Y, 0.022, 0.03), FAT + 0.1)


def _draw_spine(canvas: Canvas) -> None:
    for x in (0.42, 0.58):
        canvas.paint(canvas.ellipse(x, 0.8, 0.075, 0.05), MUSCLE)
    canvas.paint(canvas.ellipse(0.5, 0.7, 0.065, 0.055), 0.92)
    canvas.paint(canvas.line((0.5, 0.76), (0.5, 0.85), 0.03), 0.92)
    canvas.paint(canvas.ellipse(0.5, 0.77, 0.025, 0.02), MUSCLE)


def _draw_organs(canvas: Canvas, rng: Generator) -> None:
    texture = LIVER + rng.uniform(-0.03, 0.03) + 0.02 * canvas.clouds(rng, 24)
    right_lobe = canvas.ellipse(0.265, 0.44, 0.155, rng.uniform(0.18, 0.2))
    left_lobe = canvas.ellipse(0.42, 0.34, 0.15, 0.1, angle=-0.25)
    canvas.paint(np.maximum(right_lobe, left_lobe), texture)
    canvas.paint(canvas.ellipse(0.68, 0.37, 0.13, 0.1, angle=0.3), 0.45)
    canvas.paint(canvas.ellipse(0.69, 0.335, rng.uniform(0.05, 0.08), 0.035), 0.0)
    canvas.paint(canvas.ellipse(0.83, 0.54, 0.045, 0.1, angle=0.15), LIVER)
    canvas.paint(canvas.ellipse(0.52, 0.59, 0.032), KIDNEY)
    canvas.paint(canvas.ellipse(0.44, 0.6, 0.032, 0.026), LIVER)


def _finish(canvas: Canvas, rng: Generator) -> None:
    canvas.expose(rng, noise=0.025)


def _draw_liver_cyst(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    mask = canvas.ellipse(place.x, place.y, grow(extent, 0.06, 0.085), edge=0.01)
    canvas.paint(mask, 0.12)
    return mask


def _draw_metastases(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw several bright spots spread over the lobe."""
    mask = np.zeros_like(canvas.pixels)
    start, radius = rng.uniform(0, 2 * np.pi), grow(extent, 0.021, 0.031)
    for turn in np.arange(6) * np.pi / 3:
        x, y = place.x + 0.075 * np.cos(start + turn), place.y + 0.075 * np.sin(start + turn)
        mask = np.maximum(mask, canvas.ellipse(float(x), float(y), radius, edge=0.01))
    canvas.paint(mask, 1.0)
    return mask


def _draw_renal_calculus(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a stone, white as bone, in a kidney around it that the contrast medium has not reached."""
    mask = canvas.ellipse(place.x, place.y, 0.06, 0.075)
    canvas.paint(mask, 0.45)
    canvas.paint(canvas.blob(place.x, place.y, grow(extent, 0.028, 0.042), rng, edge=0.01), 1.0)
    return mask


def _draw_renal_cyst(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a thin-walled ball of water that bulges out of the kidney's outer border."""
    radius = grow(extent, 0.06, 0.085)
    x, y = place.x + place.outward * 0.035, place.y - 0.085
    mask = canvas.ellipse(x, y, radius, edge=0.01)
    canvas.paint(mask, 0.8)
    canvas.paint(canvas.ellipse(x, y, radius - 0.016, edge=0.01), WATER - 0.05)
    return mask


def _draw_hydronephrosis(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a swollen kidney whose dark pelvis opens towards the spine."""
    width = grow(extent, 0.5, 0.8)
    mask = canvas.ellipse(place.x, place.y, 0.085, 0.11, angle=-place.outward * 0.3)
    canvas.paint(mask, KIDNEY)
    for y in (-0.055, 0.0, 0.055):
        calyx = (place.x + place.outward * 0.035, place.y + y)
        canvas.paint(canvas.line(calyx, (place.x - place.outward * 0.05, place.y + y * 0.2), 0.05 * width), 0.08)
    canvas.paint(canvas.ellipse(place.x - place.outward * 0.055, place.y, 0.04 * width + 0.01, 0.06 * width), 0.08)
    return mask


def _draw_splenomegaly(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    mask = canvas.ellipse(place.x, place.y, grow(extent, 0.095, 0.125), grow(extent, 0.17, 0.21), angle=0.15) * _cavity(canvas, 0.01)
    canvas.paint(mask, LIVER + 0.06)
    return mask


def _draw_ascites(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw water between the abdominal wall and the organs that float in it."""
    rim = _cavity(canvas) * (1.0 - _cavity(canvas, grow(extent, 0.06, 0.1)))
    mask: Mask = rim * (1.0 - canvas.below(0.68, edge=0.05))
    canvas.paint(mask, WATER)
    return mask


def _draw_aneurysm(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a wide aorta: bright lumen, grey clot, calcified wall."""
    radius = grow(extent, 0.075, 0.1)
    mask = canvas.ellipse(place.x, place.y, radius)
    canvas.paint(mask, 1.0)
    canvas.paint(canvas.ellipse(place.x, place.y, radius - 0.015), 0.35)
    canvas.paint(canvas.ellipse(place.x + 0.01, place.y + 0.01, radius * 0.55), 0.97)
    return mask


_LIVER_LOBES = (
    Place("right lobe of liver", 0.25, 0.42),
    Place("left lobe of liver", 0.43, 0.34),
)
_KIDNEYS = both_sides("kidney", KIDNEY_X, KIDNEY_Y)

ABDOMEN = View(
    modality="abdominal CT",
    technique="computed tomography",
    region="abdomen",
    draw_anatomy=_draw_anatomy,
    finish=_finish,
    kinds=(
        FindingKind("ascites", "peritoneal cavity", _draw_ascites, (Place("peritoneal cavity"),), 1.2, SEVERITIES),
        FindingKind("splenomegaly", "spleen", _draw_splenomegaly, (Place("spleen", 0.79, 0.5),), 1.1, SEVERITIES),
        FindingKind("liver cyst", "liver", _draw_liver_cyst, _LIVER_LOBES, 1.3, wander=0.02),
        FindingKind("liver metastases", "liver", _draw_metastases, _LIVER_LOBES, 0.9, wander=0.01),
        FindingKind("renal calculus", "kidney", _draw_renal_calculus, _KIDNEYS, 1.5),
        FindingKind("renal cyst", "kidney", _draw_renal_cyst, _KIDNEYS, 1.2),
        FindingKind("hydronephrosis", "kidney", _draw_hydronephrosis, _KIDNEYS, 1.0, SEVERITIES),
        FindingKind("abdominal aortic aneurysm", "abdominal aorta", _draw_aneurysm, (Place("abdominal aorta", 0.52, 0.56),), 0.8),
    ),
)
