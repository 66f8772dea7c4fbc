"""Stored samples: overlays in unused bits are not drawn, padding is black."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate

from medvlp.data.dicom import dicom_pixels
from medvlp.data.sample import Dropped
from tests.medvlp.data.dicom.support import RAMP, compressed, encode, image, saved

WINDOW = {"WindowCenter": 2048, "WindowWidth": 4096}
BIG = np.arange(4096, dtype=np.uint16).reshape(64, 64)
SYNTAXES = ["", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless", "DeflatedExplicitVRLittleEndian"]


def with_overlay(pixels: np.ndarray) -> np.ndarray:
    """Set each of the four unused high bits in some rows."""
    overlaid = pixels.copy()
    for bit, rows in enumerate((slice(0, 8), slice(4, 20), slice(8, 12), slice(30, 40))):
        overlaid[rows] |= 1 << (12 + bit)
    return overlaid


def declare(content: bytes, **fields: int) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    for name, value in fields.items():
        setattr(dataset, name, value)
    return saved(dataset)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_an_overlay_in_unused_bits_is_not_drawn(syntax: str, signed: bool, tmp_path: Path) -> None:
    fields: dict[str, Any] = {"PixelRepresentation": 1, "WindowCenter": 0, "WindowWidth": 4096} if signed else WINDOW
    expected = dicom_pixels(encode(BIG, **fields))
    # The codec gets all 16 bits, as devices that write overlays into pixels do.
    cells = encode(with_overlay(BIG), **fields, BitsStored=16, HighBit=15)
    packed = compressed(cells, syntax, tmp_path) if syntax else cells
    np.testing.assert_array_equal(dicom_pixels(declare(packed, BitsStored=12, HighBit=11)), expected)


@pytest.mark.parametrize("syntax", ["", "RLELossless"])
def test_an_overlay_below_the_stored_bits_is_not_drawn(syntax: str, tmp_path: Path) -> None:
    cells = encode((BIG << 4) | (BIG & 15), **WINDOW, BitsStored=16, HighBit=15)
    packed = compressed(cells, syntax, tmp_path) if syntax else cells
    np.testing.assert_array_equal(dicom_pixels(declare(packed, BitsStored=12, HighBit=15)), dicom_pixels(encode(BIG, **WINDOW)))


@pytest.mark.parametrize("interpretation", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize(
    ("padding", "dtype"),
    [
        ((0,), np.uint16),
        ((4095,), np.uint16),
        ((4000, 4095), np.uint16),
        ((4095, 4000), np.uint16),
        ((0, 100), np.uint16),
        ((-2000,), np.int16),
        ((-2000, -1500), np.int16),
        ((2047,), np.int16),
    ],
)
def test_padding_is_black_and_does_not_change_the_range(padding: tuple[int, ...], dtype: type, windowed: bool, interpretation: str) -> None:
    pixels = np.linspace(200, 900, 256).round().astype(dtype).reshape(16, 16)
    fields: dict[str, Any] = {"PhotometricInterpretation": interpretation, "PixelRepresentation": int(dtype is np.int16)}
    if windowed:
        fields |= {"WindowCenter": 500, "WindowWidth": 400, "RescaleSlope": 2, "RescaleIntercept": -700}
    expected = dicom_pixels(encode(pixels, **fields))
    padded = pixels.copy()
    padded[:4] = padding[0]
    padded[0, :8] = padding[-1]
    if len(padding) == 2:
        padded[0, 0] = sum(padding) // 2
    padded[8, 8], padded[8, 9] = 200, 900
    names = ("PixelPaddingValue", "PixelPaddingRangeLimit")
    dataset = image(padded, **fields)
    for name, value in zip(names, padding, strict=False):
        dataset.add_new(name, "SS" if dtype is np.int16 else "US", value)
    shown = dicom_pixels(saved(dataset))
    assert (shown[:4] == 0).all()
    assert np.abs(shown[9:].astype(int) - expected[9:]).max() <= 1


@pytest.mark.parametrize(
    ("representation", "stored", "vr", "value", "cell"),
    [
        (1, 16, "US", 63536, -2000),
        (1, 12, "US", 63536, -2000),
        (0, 16, "SS", -2000, 63536),
        (0, 12, "SS", -2000, 63536),
        (0, 12, "US", 63536, 63536),
    ],
)
def test_padding_of_the_other_sign_is_recognised(representation: int, stored: int, vr: str, value: int, cell: int) -> None:
    pixels = np.linspace(0, 1900, 256).astype(np.int32).reshape(16, 16)
    pixels[:4] = cell
    cells = pixels.astype(np.int16 if representation else np.uint16)
    dataset = image(cells, PixelRepresentation=representation, BitsStored=stored, HighBit=stored - 1)
    dataset.add_new("PixelPaddingValue", vr, value)
    shown = dicom_pixels(saved(dataset))
    assert (shown[:4] == 0).all()
    assert shown[-1, -1] == 255


def test_a_picture_of_padding_alone_is_black() -> None:
    assert dicom_pixels(encode(np.full((4, 4), 9, np.uint16), PixelPaddingValue=9, PhotometricInterpretation="MONOCHROME1")).max() == 0


def test_floats_are_shown_without_their_padding() -> None:
    values = np.linspace(-1, 1, 256, dtype=np.float32).reshape(16, 16)
    expected = dicom_pixels(encode(RAMP))
    values[0, 0], values[0, 1] = np.nan, -9999
    dataset = image(RAMP, BitsAllocated=32, FloatPixelPaddingValue=-9999)
    for keyword in ("PixelData", "BitsStored", "HighBit", "PixelRepresentation"):
        delattr(dataset, keyword)
    dataset.FloatPixelData = values.tobytes()
    shown = dicom_pixels(saved(dataset)).astype(int)
    assert shown[0, :2].tolist() == [0, 0]
    assert np.abs(shown - expected)[1:].max() <= 2


@pytest.mark.parametrize("frames", [1, 3])
def test_a_jpeg_of_twelve_bits_shows_the_same(frames: int, tmp_path: Path) -> None:
    block = np.kron(RAMP, np.ones((8, 8), dtype=np.uint16))
    plain = encode(np.stack([np.roll(block, 8 * frame, 0) for frame in range(frames)]), WindowCenter=2048, WindowWidth=4096)
    packed = compressed(plain, "JPEGExtendedProcess2_4", tmp_path)
    assert len(packed) < len(plain) / 4
    np.testing.assert_allclose(dicom_pixels(packed).astype(int), dicom_pixels(plain).astype(int), atol=2)


def test_a_damaged_jpeg_of_twelve_bits_is_counted(tmp_path: Path) -> None:
    block = np.kron(RAMP, np.ones((8, 8), dtype=np.uint16))
    dataset = pydicom.dcmread(io.BytesIO(compressed(encode(block), "JPEGExtendedProcess2_4", tmp_path)))
    dataset.PixelData = encapsulate([b"no JPEG"])
    with pytest.raises(Dropped, match="DICOM file does not decode"):
        dicom_pixels(saved(dataset))
