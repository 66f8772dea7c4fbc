"""Convert DICOM files to JPEG files of their pixels: no part of a header is ever copied."""

import io
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medvlp.data.sample import Dropped, Excluded
from medvlp.errors import ConfigurationError

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
_MAGIC = b"DICM"
_JPEG_QUALITY = 95
"""JPEG quality, as in MIMIC-CXR-JPG."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_BEYOND = 1e9
"""A value above all windows; its negative is below all windows."""
_NO_IMAGE = ("SEG", "PR", "SR", "RTSTRUCT", "RTPLAN", "KO")
"""Modalities of objects that are not images: segmentations, presentation states, reports, contours …"""


class BurnedIn(StrEnum):
    """How to treat identities that are burned into the pixels."""

    DROP = "drop"
    """Leave out images whose header declares them (Burned In Annotation is YES)."""
    DROP_UNKNOWN = "drop-unknown"
    """Keep only images whose header declares that there are none: few headers do."""
    KEEP = "keep"
    """Keep all images: for data that were cleaned before."""


def burned_in_rule(name: str) -> BurnedIn:
    """Return the rule with this name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return BurnedIn(name)
    except ValueError as error:
        raise ConfigurationError(f"burned_in must be one of {', '.join(BurnedIn)}, not {name!r}") from error


def is_dicom(content: bytes) -> bool:
    """Return whether a file has the DICOM file format."""
    return content[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC


def dicom_to_jpeg(content: bytes, *, burned_in: BurnedIn = BurnedIn.DROP) -> bytes:
    """Return the picture that a viewer would show first, as a grey or colour JPEG file without metadata; see ``dicom_pixels``."""
    buffer = io.BytesIO()
    Image.fromarray(dicom_pixels(content, burned_in=burned_in)).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def dicom_pixels(content: bytes, *, burned_in: BurnedIn = BurnedIn.DROP) -> np.ndarray:
    """Return the picture that a viewer would show first, as uint8 [rows, columns] or [rows, columns, 3].

    Grey values pass through the modality rescaling and the first window or lookup table of the header; without one, the range from minimum
    to maximum is used. MONOCHROME1 is inverted. Colours become RGB. For several frames it is the middle one. Overlays are not drawn.

    Args:
        content: the file.
        burned_in: how to treat identities in the pixels.

    Raises:
        Dropped: the file cannot be decoded, is not an image, or may show an identity.
    """
    import pydicom  # late: it takes a quarter of a second, and most corpora do not need it

    try:
        dataset = pydicom.dcmread(io.BytesIO(content))
        _check(dataset, burned_in)
        return _render(dataset)
    except Dropped:
        raise
    except Exception as error:  # pydicom's decoders raise any error of their libraries
        raise Dropped("DICOM file does not decode") from error


def _check(dataset: "Dataset", burned_in: BurnedIn) -> None:
    if dataset.get("Modality") in _NO_IMAGE or "PixelData" not in dataset:
        raise Dropped("DICOM object is not an image")
    marked = str(dataset.get("BurnedInAnnotation", "")).upper()
    if burned_in is not BurnedIn.KEEP and marked == "YES":
        raise Excluded("DICOM header declares burned-in annotations")
    if burned_in is BurnedIn.DROP_UNKNOWN and marked != "NO":
        raise Excluded("DICOM header does not declare the image free of burned-in annotations")


def _render(dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    interpretation = str(dataset.get("PhotometricInterpretation", "MONOCHROME2"))
    frames = int(dataset.get("NumberOfFrames") or 1)
    pixels = pixel_array(dataset, index=frames // 2)  # it turns YBR into RGB
    if interpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, dataset)
        return _eight_bits(colours, 8 * colours.dtype.itemsize)
    if interpretation not in _GREY:
        return _eight_bits(pixels, int(dataset.BitsStored))
    padding = dataset.get("PixelPaddingValue")
    inside = pixels != padding if padding is not None else np.ones(pixels.shape, dtype=bool)
    grey = _window(apply_modality_lut(pixels, dataset), inside, dataset)
    return _eight_bits(np.round(255 * (1 - grey if interpretation == "MONOCHROME1" else grey)), 8)


def _window(values: np.ndarray, inside: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Apply the first window of the header to the values, from 0 for black to 1 for white."""
    from pydicom.pixels import apply_voi, apply_windowing

    if dataset.get("VOILUTSequence"):
        table = dataset.VOILUTSequence[0]
        entries, first, bits = table.LUTDescriptor
        low, high = 0.0, 2.0**bits - 1
        table.LUTDescriptor = [entries, first, 16]  # with 8, pydicom 3.0 looks up places above 255 in 8 bits
        shown = apply_voi(values, dataset)
    elif dataset.get("WindowCenter") is not None and dataset.get("WindowWidth") is not None:
        low, high = apply_windowing(np.array([-_BEYOND, _BEYOND]), dataset)
        shown = apply_windowing(values, dataset)
    else:
        seen = values[inside] if inside.any() else values
        low, high = float(seen.min()), float(seen.max())
        shown = values
    return np.clip((shown.astype(np.float64) - low) / max(high - low, 1e-9), 0, 1)


def _eight_bits(values: np.ndarray, bits: int) -> np.ndarray:
    return np.asarray(values >> (bits - 8) if bits > 8 else values, dtype=np.uint8)
