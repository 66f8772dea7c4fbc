"""The sector of an ultrasound probe over the right upper quadrant: liver, gallbladder and right kidney."""

import numpy as np
from numpy.random import Generator

from medvlp.corpora.phantom.canvas import Canvas, Mask, ramp
from medvlp.corpora.phantom.view import SEVERITIES, FindingKind, Place, View, grow

LIVER = 0.4
CORTEX = 0.28
SINUS = 0.75
FLUID = 0.02
PROBE = (0.5, -0.12)
GALLBLADDER = (0.69, 0.42)
KIDNEY = (0.42, 0.78)


def _sector(canvas: Canvas) -> Mask:
    distance, angle = canvas.polar(*PROBE)
    opening = np.abs(angle - np.float32(np.pi / 2))
    rim = np.minimum(distance - np.float32(0.17), np.float32(1.08) - distance)
    sector: Mask = ramp(rim * 80) * ramp((np.float32(0.68) - opening) * 60)
    return sector


def _beam(canvas: Canvas, x: float, y: float, width: float) -> Mask:
    """Return the area behind (x, y), seen from the probe: where a stone casts its shadow and fluid transmits more sound."""
    distance, angle = canvas.polar(*PROBE)
    depth, direction = np.hypot(x - PROBE[0], y - PROBE[1]), np.arctan2(y - PROBE[1], x - PROBE[0])
    beam: Mask = ramp((np.float32(width / depth) - np.abs(angle - np.float32(direction))) * 40) * ramp((distance - np.float32(depth)) * 60)
    return beam


def _gallbladder(canvas: Canvas, grown: float = 0.0) -> Mask:
    return canvas.ellipse(*GALLBLADDER, 0.085 + grown, 0.135 + grown, angle=-0.35)


def _kidney(canvas: Canvas) -> Mask:
    return canvas.ellipse(*KIDNEY, 0.21, 0.105, angle=0.12)


def _draw_anatomy(canvas: Canvas, rng: Generator) -> None:
    canvas.paint(np.ones_like(canvas.pixels), LIVER + rng.uniform(-0.03, 0.03) + 0.03 * canvas.clouds(rng, 8))
    distance, _ = canvas.polar(0.3, 0.1)
    canvas.paint(ramp(1.0 - np.abs(distance - np.float32(0.62)) * 70) * canvas.below(0.45), 0.85)
    for x, y, length in ((0.4, 0.5, 0.09), (0.55, 0.25, 0.06)):
        canvas.paint(canvas.ellipse(x, y, length, 0.014, angle=float(rng.uniform(0.2, 0.7))), 0.12)
    canvas.paint(_kidney(canvas), CORTEX)
    canvas.paint(canvas.ellipse(*KIDNEY, 0.12, 0.04, angle=0.12, edge=0.03), SINUS)
    canvas.paint(_gallbladder(canvas, 0.012), 0.65)
    canvas.paint(_gallbladder(canvas), FLUID)


def _finish(canvas: Canvas, rng: Generator) -> None:
    """Add speckle, which grows with the echo; outside the sector there is nothing."""
    canvas.pixels *= 1.0 + np.float32(0.16) * canvas.clouds(rng, canvas.size * 5 // 8)
    canvas.expose(rng, noise=0.01)
    canvas.pixels *= _sector(canvas)


def _draw_gallstone(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a white cap on the floor of the gallbladder, and a black shadow behind it."""
    radius = grow(extent, 0.04, 0.055)
    x, y = place.x + 0.03, place.y + 0.07
    shadow = _beam(canvas, x, y, radius)
    canvas.paint(shadow, 0.0)
    stone = canvas.ellipse(x, y, radius, radius * 0.75)
    canvas.paint(stone, 1.0)
    mask: Mask = np.maximum(stone, shadow * _sector(canvas))
    return mask


def _draw_cholecystitis(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a thick white wall of the gallbladder."""
    mask = _gallbladder(canvas, grow(extent, 0.04, 0.06)) * (1.0 - _gallbladder(canvas, -0.015))
    canvas.paint(mask, 0.95)
    return mask


def _draw_steatosis(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a liver far brighter than the kidney."""
    spared = np.maximum(_gallbladder(canvas, 0.012), _kidney(canvas))
    mask = _sector(canvas) * (1.0 - spared) * (1.0 - canvas.below(0.7, edge=0.1))
    canvas.paint(mask, ramp(canvas.pixels * np.float32(0.7) + np.float32(grow(extent, 0.32, 0.46))))
    return mask


def _draw_haemangioma(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a round white spot in the liver, edged by a thin dark line so that it shows in a fatty liver as well."""
    radius = grow(extent, 0.055, 0.075)
    mask = canvas.ellipse(place.x, place.y, radius + 0.015)
    canvas.paint(mask, 0.2)
    canvas.paint(canvas.blob(place.x, place.y, radius, rng, roughness=0.05), 1.0)
    return mask


def _draw_liver_cyst(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a round black area with a brighter streak behind it."""
    radius = grow(extent, 0.06, 0.085)
    canvas.add(_beam(canvas, place.x, place.y, radius * 0.7) * canvas.ellipse(place.x, place.y + 0.1, 0.09), 0.25)
    mask = canvas.ellipse(place.x, place.y, radius, edge=0.01)
    canvas.paint(mask, FLUID)
    return mask


def _draw_hydronephrosis(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw black, communicating calyces in place of the white centre of the kidney."""
    size = grow(extent, 0.8, 1.05)
    mask = _kidney(canvas)
    canvas.paint(mask, 0.6)
    for x, y in ((-0.11, -0.01), (0.0, 0.0), (0.11, 0.02)):
        canvas.paint(canvas.ellipse(place.x + x, place.y + y, 0.055 * size, 0.06 * size), FLUID)
    canvas.paint(canvas.line((place.x - 0.11, place.y), (place.x + 0.11, place.y + 0.02), 0.045 * size), FLUID)
    return mask


def _draw_renal_calculus(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a white spot at a pole of the kidney, and a black shadow behind it."""
    radius = grow(extent, 0.035, 0.05)
    x, y = place.x - 0.12, place.y - 0.02
    shadow = _beam(canvas, x, y, radius)
    canvas.paint(shadow, 0.0)
    stone = canvas.ellipse(x, y, radius, radius * 0.8)
    canvas.paint(stone, 1.0)
    mask: Mask = np.maximum(stone, shadow * _sector(canvas))
    return mask


def _draw_ascites(canvas: Canvas, place: Place, extent: float, rng: Generator) -> Mask:
    """Draw a black rim of fluid between the probe and the liver."""
    distance, _ = canvas.polar(*PROBE)
    surface = np.float32(grow(extent, 0.32, 0.38)) + np.float32(0.015) * np.cos(canvas.x * 25)
    mask = ramp((surface - distance) * 60) * ramp((distance - np.float32(0.2)) * 60) * _sector(canvas)
    canvas.paint(mask, 0.0)
    return mask


_LIVER_LOBES = (
    Place("right lobe of liver", 0.33, 0.5),
    Place("left lobe of liver", 0.46, 0.34),
)
_KIDNEY = (Place("right kidney", *KIDNEY, "right"),)
_GALLBLADDER = (Place("gallbladder", *GALLBLADDER),)

ULTRASOUND = View(
    modality="abdominal ultrasound",
    technique="ultrasonography",
    region="right upper quadrant",
    draw_anatomy=_draw_anatomy,
    finish=_finish,
    kinds=(
        FindingKind("hepatic steatosis", "liver", _draw_steatosis, (Place("liver"),), 1.2, SEVERITIES),
        FindingKind("ascites", "peritoneal cavity", _draw_ascites, (Place("peritoneal cavity"),), 1.1, SEVERITIES),
        FindingKind("cholecystitis", "gallbladder", _draw_cholecystitis, (Place("gallbladder wall"),), 1.0, SEVERITIES),
        FindingKind("gallstone", "gallbladder", _draw_gallstone, _GALLBLADDER, 1.5),
        FindingKind("liver haemangioma", "liver", _draw_haemangioma, _LIVER_LOBES, 1.1, wander=0.015),
        FindingKind("liver cyst", "liver", _draw_liver_cyst, _LIVER_LOBES, 1.2, wander=0.015),
        FindingKind("hydronephrosis", "kidney", _draw_hydronephrosis, _KIDNEY, 0.9, SEVERITIES),
        FindingKind("renal calculus", "kidney", _draw_renal_calculus, _KIDNEY, 1.0),
    ),
)
