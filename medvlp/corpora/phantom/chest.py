"""The frontal chest radiograph."""

import numpy as np
from numpy.random import Generator

from medvlp.corpora.phantom.canvas import Canvas, Mask, ramp
from medvlp.corpora.phantom.view import SEVERITIES, FindingKind, Place, View, both_sides, grow

LUNG = 0.24
SOFT_TISSUE = 0.6
HEART = 0.72
FLUID = 0.8
RIGHT_LUNG_X, LUNG_Y, LUNG_WIDTH, LUNG_HEIGHT = 0.29, 0.49, 0.17, 0.34


def _lung(canvas: Canvas, side: str, shrink: float = 0.0) -> Mask:
    x = RIGHT_LUNG_X if side == "right" else 1.0 - RIGHT_LUNG_X
    lung = canvas.ellipse(x, LUNG_Y, LUNG_WIDTH - shrink, LUNG_HEIGHT - shrink, angle=0.08 if side == "right" else -0.08)
    diaphragm = 0.74 + 2.0 * (canvas.x - np.float32(x)) ** 2
    return lung * (1.0 - canvas.below(diaphragm))


def _draw_anatomy(canvas: Canvas, rng: Generator) -> None:
    canvas.paint(canvas.ellipse(0.5, 0.72, 0.48, 0.62, edge=0.04), SOFT_TISSUE + rng.uniform(-0.04, 0.04))
    canvas.paint(canvas.box(0.5, 0.06, 0.09, 0.14, edge=0.05), SOFT_TISSUE)
    lungs = np.maximum(_lung(canvas, "right"), _lung(canvas, "left"))
    canvas.paint(lungs, LUNG + rng.uniform(-0.03, 0.03) + 0.02 * canvas.clouds(rng, 14))
    _draw_ribs(canvas, lungs, rng)
    canvas.paint(canvas.box(0.5, 0.45, 0.055, 0.5, edge=0.04), HEART - 0.04)
    canvas.paint(canvas.box(0.5, 0.2, 0.018, 0.16, edge=0.02), 0.45)
    width = rng.uniform(0.115, 0.13)
    canvas.paint(canvas.ellipse(0.555, 0.64, width, 0.14, angle=0.35, edge=0.03), HEART)
    for outward in (-1.0, 1.0):
        canvas.add(canvas.line((0.5 + outward * 0.05, 0.19), (0.5 + outward * 0.36, 0.13), 0.025), 0.12)


def _draw_ribs(canvas: Canvas, lungs: Mask, rng: Generator) -> None:
    """Draw ribs: pale bands over the lungs, falling to the sides."""
    distance = np.abs(canvas.x - np.float32(0.5))
    phase = rng.uniform(0, 2 * np.pi)
    bands = np.cos((canvas.y - np.float32(0.35) * distance) * np.float32(2 * np.pi / 0.105) + np.float32(phase))
    canvas.add(lungs * ramp(bands), 0.08)


def _finish(canvas: Canvas, rng: Generator) -> None:
    canvas.expose(rng, noise=0.018)


def _draw_effusion(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw fluid at the base of the lung, whose level climbs at the chest wall."""
    lung_x = 0.5 + place.outward * (0.5 - RIGHT_LUNG_X)
    lateral = (canvas.x - np.float32(lung_x)) * np.float32(place.outward)
    level = np.float32(grow(extent, 0.67, 0.48)) - np.float32(3.0) * np.maximum(lateral + np.float32(0.05), 0.0) ** 2
    half = canvas.ellipse(lung_x, LUNG_Y + 0.02, LUNG_WIDTH + 0.02, LUNG_HEIGHT + 0.04)
    mask = half * canvas.below(level) * (1.0 - canvas.below(0.88))
    canvas.paint(mask, FLUID)
    return mask


def _draw_pneumothorax(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw black, structureless air around a lung that has come away from the chest wall, with its fine white edge."""
    shrink = grow(extent, 0.05, 0.1)
    x = 0.5 + place.outward * (0.5 - RIGHT_LUNG_X - shrink * 0.9)
    collapsed = canvas.ellipse(x, LUNG_Y + 1.1 * shrink, LUNG_WIDTH - shrink, LUNG_HEIGHT - shrink, angle=-place.outward * 0.08)
    mask = _lung(canvas, place.side) * (1.0 - collapsed)
    canvas.paint(mask, 0.0)
    rim = 4.0 * collapsed * (1.0 - collapsed) * _lung(canvas, place.side)
    canvas.paint(rim, 0.8)
    return mask


def _draw_cardiomegaly(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    mask = canvas.ellipse(0.55, 0.63, grow(extent, 0.2, 0.27), grow(extent, 0.165, 0.2), angle=0.2, edge=0.025)
    canvas.paint(mask, HEART + 0.03)
    return mask


def _draw_nodule(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    mask = canvas.ellipse(place.x, place.y, grow(extent, 0.05, 0.068), edge=0.012)
    canvas.paint(mask, 0.97)
    return mask


def _draw_mass(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a large, solid and lobulated shape."""
    mask = canvas.blob(place.x, place.y, grow(extent, 0.1, 0.14), rng, roughness=0.07)
    canvas.paint(mask, 0.9)
    return mask


def _draw_consolidation(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a patchy, ill-defined white area, crossed by the dark branches of bronchi that still hold air."""
    shape = canvas.ellipse(place.x, place.y, grow(extent, 0.11, 0.15), grow(extent, 0.085, 0.12), edge=0.06)
    shape = shape * np.maximum(_lung(canvas, place.side), 0.25)
    canvas.paint(shape, np.clip(0.66 + 0.12 * canvas.clouds(rng, 22), 0.4, 0.9))
    for slope in (-0.07, 0.0, 0.07):
        start = (place.x - place.outward * 0.07, place.y + slope * 0.3)
        canvas.paint(canvas.line(start, (place.x + place.outward * 0.08, place.y + slope), 0.014) * shape, 0.25)
    return shape


def _draw_cavity(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a thick white wall around black air."""
    radius = grow(extent, 0.075, 0.1)
    mask = canvas.blob(place.x, place.y, radius, rng, roughness=0.04)
    canvas.paint(mask, 0.85)
    canvas.paint(canvas.ellipse(place.x, place.y, radius * 0.62), 0.0)
    return mask


def _draw_pacemaker(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a metal box below the clavicle and its lead into the heart."""
    case = canvas.box(place.x, place.y, 0.06, 0.042, angle=rng.uniform(-0.3, 0.3))
    corner = (0.5 + place.outward * 0.03, 0.3)
    lead = np.maximum(canvas.line((place.x, place.y), corner, 0.014), canvas.line(corner, (0.56, 0.7), 0.014))
    mask = np.maximum(case, lead)
    canvas.paint(mask, 1.0)
    return mask


_UPPER = both_sides("upper lobe", 0.3, 0.33)
_LOWER = both_sides("lower lobe", 0.26, 0.63)
_EFFUSION = both_sides("pleural cavity", 0.29, 0.7, "lower lobe", "middle lobe")
_PNEUMOTHORAX = both_sides("pleural cavity", 0.2, 0.4, "upper lobe")
_MIDDLE = Place("right middle lobe", 0.26, 0.49, "right")

CHEST = View(
    modality="chest radiograph",
    technique="radiograph",
    region="thorax",
    draw_anatomy=_draw_anatomy,
    finish=_finish,
    kinds=(
        FindingKind("pleural effusion", "pleural cavity", _draw_effusion, _EFFUSION, 1.5),
        FindingKind("pneumothorax", "pleural cavity", _draw_pneumothorax, _PNEUMOTHORAX, 1.1),
        FindingKind("cardiomegaly", "heart", _draw_cardiomegaly, (Place("heart"),), 1.5, SEVERITIES),
        FindingKind("pulmonary nodule", "lung", _draw_nodule, (*_UPPER, _MIDDLE, *_LOWER), 1.1, wander=0.03),
        FindingKind("pulmonary mass", "lung", _draw_mass, (*_UPPER, *_LOWER), 0.9, wander=0.02),
        FindingKind("consolidation", "lung", _draw_consolidation, (_MIDDLE, *_LOWER), 1.2, wander=0.015),
        FindingKind("pulmonary cavity", "lung", _draw_cavity, _UPPER, 0.8, wander=0.03),
        FindingKind("cardiac pacemaker", "chest wall", _draw_pacemaker, both_sides("chest wall", 0.2, 0.2), 0.8, (), wander=0.02),
    ),
)
