"""The picture of a DICOM file, as pixels or as a JPEG file."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from medvlp.data.dicom.burned_in import BurnedIn, check_burned_in
from medvlp.data.dicom.file import check_decoder, read_dicom
from medvlp.data.dicom.grey import rescaled, shown
from medvlp.data.dicom.header import frame_headers, numbers
from medvlp.data.dicom.samples import read_samples
from medvlp.data.rgb import DECODER_ERRORS, MAXIMUM_PIXELS, TOO_MANY_PIXELS, decode_rgb, eight_bits
from medvlp.data.sample import Dropped

if TYPE_CHECKING:
    from pydicom import Dataset

_JPEG_QUALITY = 95
"""JPEG quality, as in MIMIC-CXR-JPG."""
_JPEG_SIDE = 65_500
"""Maximum number of rows and of columns that libjpeg writes."""
_GREY = ("MONOCHROME1", "MONOCHROME2")
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_NO_IMAGE = ("SEG", "PR", "SR", "RTSTRUCT", "RTPLAN", "KO")
"""Modalities of objects that are not images: segmentations, presentation states, reports, contours …"""
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing", "PixelAspectRatio")
"""Elements that give the height of a pixel, then its width."""
_SQUARE = 0.01
"""Pixels whose height and width differ by a smaller fraction are shown as squares."""


def dicom_to_jpeg(content: bytes, *, burned_in: BurnedIn = BurnedIn.DROP) -> bytes:
    """Return the picture that a viewer would show first, as a grey or colour JPEG file without metadata; see ``dicom_pixels``.

    Raises:
        Dropped: see ``dicom_pixels``; or a JPEG file cannot have so many rows or columns.
    """
    pixels = dicom_pixels(content, burned_in=burned_in)
    if max(pixels.shape) > _JPEG_SIDE:
        raise Dropped(f"DICOM image has more than {_JPEG_SIDE:,} rows or columns")
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def dicom_pixels(content: bytes, *, burned_in: BurnedIn = BurnedIn.DROP) -> np.ndarray:
    """Return the picture that a viewer would show first, as uint8 [rows, columns] or [rows, columns, 3].

    Grey values pass through the modality rescaling and the first usable window or lookup table of the header; without one, the range from
    minimum to maximum is used. Both may be in the functional groups of the frame. MONOCHROME1 is inverted. Padding is black. Colours become
    RGB. For several frames it is the middle one. Overlays are not drawn. Pixels become squares.

    Args:
        content: the file.
        burned_in: how to treat identities in the pixels.

    Raises:
        Dropped: the file cannot be decoded, is not an image, is implausibly large, or may show an identity.
    """
    # Late: pydicom takes a quarter of a second, and most corpora do not need it.
    from pydicom.errors import BytesLengthException, InvalidDicomError

    try:
        dataset = read_dicom(content)
        _check_image(dataset)
        check_burned_in(dataset, burned_in)
        check_decoder(dataset)
        return _picture(dataset)
    # An AttributeError is an element that is missing; a RuntimeError says that every decoder failed.
    except (AttributeError, RuntimeError, BytesLengthException, InvalidDicomError, *DECODER_ERRORS) as error:
        raise Dropped("DICOM file does not decode") from error


def _check_image(dataset: "Dataset") -> None:
    if dataset.get("Modality") in _NO_IMAGE or "Rows" not in dataset:
        raise Dropped("DICOM object is not an image")
    if not any(keyword in dataset for keyword in _PIXELS):
        raise Dropped("DICOM image has no pixel data")
    if int(dataset.Rows) * int(dataset.Columns) > MAXIMUM_PIXELS:
        raise Dropped(TOO_MANY_PIXELS)


def _picture(dataset: "Dataset") -> np.ndarray:
    from pydicom.pixels import pixel_array

    frame = max(int(dataset.get("NumberOfFrames") or 1), 1) // 2
    headers = frame_headers(dataset, frame)
    interpretation = str(dataset.get("PhotometricInterpretation", ""))
    if interpretation in _GREY:
        pixels = _grey(dataset, frame, headers)
    elif interpretation == "PALETTE COLOR":
        pixels = _palette_colours(dataset, frame)
    else:
        pixels = pixel_array(dataset, index=frame)  # it turns YBR into RGB
        pixels = (pixels >> max(int(dataset.BitsStored) - 8, 0)).astype(np.uint8)
    return _with_square_pixels(pixels, headers)


def _grey(dataset: "Dataset", frame: int, headers: Sequence["Dataset"]) -> np.ndarray:
    samples, inside = read_samples(dataset, frame)
    grey = np.rint(shown(rescaled(samples, headers), inside, headers)).astype(np.uint8)
    return np.where(inside, 255 - grey if dataset.PhotometricInterpretation == "MONOCHROME1" else grey, np.uint8(0))


def _palette_colours(dataset: "Dataset", frame: int) -> np.ndarray:
    from pydicom.pixels import apply_color_lut

    samples, _ = read_samples(dataset, frame)
    if not dataset.file_meta.TransferSyntaxUID.is_little_endian:
        _swap_palettes(dataset)
    length, first, _ = dataset.RedPaletteColorLookupTableDescriptor
    length = length or 2**16
    # The whole palette at once: its brightest colour, not that of the frame, tells how many bits its entries use.
    palette = eight_bits(apply_color_lut(np.arange(first, first + length), dataset))
    colours = palette[np.clip(samples.astype(np.int64) - first, 0, length - 1)]
    return np.asarray(decode_rgb(Image.fromarray(colours)))  # some palettes have transparent colours


def _swap_palettes(dataset: "Dataset") -> None:
    """Swap the bytes of palettes, which are 16-bit words that pydicom 3.0 reads as little endian in every file."""
    for colour in ("Red", "Green", "Blue", "Alpha"):
        keyword = f"{colour}PaletteColorLookupTableData"
        if dataset.get(keyword):
            dataset[keyword].value = np.frombuffer(dataset[keyword].value, ">u2").astype("<u2").tobytes()


def _with_square_pixels(pixels: np.ndarray, headers: Sequence["Dataset"]) -> np.ndarray:
    """Stretch the picture along the longer side of its pixels."""
    ratio = _pixel_height(headers)
    rows, columns = round(pixels.shape[0] * max(ratio, 1)), round(pixels.shape[1] * max(1 / ratio, 1))
    if rows * columns > MAXIMUM_PIXELS:
        raise Dropped(TOO_MANY_PIXELS)
    if (rows, columns) == pixels.shape[:2]:
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BICUBIC))


def _pixel_height(headers: Sequence["Dataset"]) -> float:
    """Return the height of a pixel divided by its width."""
    for keyword in _SPACINGS:
        for header in headers:
            sides = numbers(header, keyword)
            if len(sides) == 2 and min(sides) > 0:
                ratio = sides[0] / sides[1]
                return 1 if abs(ratio - 1) < _SQUARE else ratio
    return 1
