"""DICOM: what a viewer would show, and nothing that names anybody."""

import io
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEGBaseline8Bit

from medvlp.data.dicom import BurnedIn, dicom_pixels, dicom_to_jpeg
from medvlp.data.sample import Dropped
from tests.medvlp.data.dicom.support import RAMP, compressed, encode, image, saved


def test_greys_go_through_the_window() -> None:
    shown = dicom_pixels(encode(RAMP, WindowCenter=1024, WindowWidth=1025)).astype(int)
    assert shown[RAMP <= 512].max() == 0
    assert shown[RAMP > 1536].min() == 255
    inside = (RAMP > 512) & (RAMP <= 1536)
    np.testing.assert_allclose(shown[inside], (RAMP[inside].astype(int) - 512) / 1024 * 255, atol=1)


def test_a_window_that_the_values_do_not_fill_is_not_stretched() -> None:
    dim = np.full((8, 8), 100, dtype=np.uint16)
    dim[0] = 0
    assert dicom_pixels(encode(dim, WindowCenter=500, WindowWidth=1001)).max() in (25, 26)


def test_the_first_of_several_windows_after_rescaling() -> None:
    fields = {"RescaleSlope": 2, "RescaleIntercept": -1024, "WindowCenter": [0, 4000], "WindowWidth": [1025, 10]}
    shown = dicom_pixels(encode(RAMP, **fields))
    assert (shown[2 * RAMP.astype(int) - 1024 <= -512] == 0).all()
    assert (shown[2 * RAMP.astype(int) - 1024 > 512] == 255).all()


def test_without_a_window_from_the_least_to_the_greatest_value_but_for_the_padding() -> None:
    shown = dicom_pixels(encode(RAMP, PixelPaddingValue=0))
    assert (shown[0, 0], shown[0, 1], shown[-1, -1]) == (0, 0, 255)
    assert dicom_pixels(encode(np.full((4, 4), 7, dtype=np.uint16))).max() == 0


def test_monochrome1_is_inverted() -> None:
    fields = {"WindowCenter": 2048, "WindowWidth": 4096}
    normal, inverted = dicom_pixels(encode(RAMP, **fields)), dicom_pixels(encode(RAMP, **fields, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(inverted, 255 - normal)


def test_a_lookup_table_is_applied() -> None:
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 8], [value // 16 for value in range(4096)][::-1]
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "US"
    shown = dicom_pixels(encode(RAMP, VOILUTSequence=[table]))
    np.testing.assert_array_equal(shown, 255 - RAMP // 16)


def test_of_several_frames_it_is_the_middle_one() -> None:
    frames = np.stack([np.full((4, 4), value, dtype=np.uint8) for value in (0, 40, 80, 120, 160)])
    assert (dicom_pixels(encode(frames, WindowCenter=128, WindowWidth=256)) == 80).all()


def test_colours_stay() -> None:
    colours = np.zeros((4, 4, 3), dtype=np.uint8)
    colours[..., 1] = 200
    found = dicom_pixels(encode(colours, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="RGB"))
    np.testing.assert_array_equal(found, colours)


@pytest.mark.parametrize(
    "syntax",
    [
        "JPEGLosslessProcess14",
        "JPEGLosslessProcess14_1",
        "JPEGLSLossless",
        "JPEG2000Lossless",
        "RLELossless",
        "DeflatedExplicitVRLittleEndian",
    ],
)
def test_compressed_files_show_the_same(syntax: str, tmp_path: Path) -> None:
    plain = encode(RAMP, WindowCenter=1024, WindowWidth=1025)
    packed = compressed(plain, syntax, tmp_path)
    assert pydicom.dcmread(io.BytesIO(packed)).file_meta.TransferSyntaxUID != ExplicitVRLittleEndian
    np.testing.assert_array_equal(dicom_pixels(packed), dicom_pixels(plain))


def test_colours_of_a_jpeg_inside() -> None:
    colours = np.zeros((32, 32, 3), dtype=np.uint8)
    colours[:16] = (200, 30, 60)
    jpeg = io.BytesIO()
    Image.fromarray(colours).save(jpeg, "JPEG", quality=95)
    dataset = pydicom.dcmread(
        io.BytesIO(encode(colours, SamplesPerPixel=3, PlanarConfiguration=0, PhotometricInterpretation="YBR_FULL_422"))
    )
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([jpeg.getvalue()])
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    np.testing.assert_allclose(dicom_pixels(buffer.getvalue())[4::8, 4::8].astype(int), colours[4::8, 4::8], atol=12)


def test_no_name_is_copied_on() -> None:
    content = encode(RAMP)
    assert b"4711-SECRET" in content
    jpeg = dicom_to_jpeg(content)
    assert b"SECRET" not in jpeg
    assert b"Doe" not in jpeg
    with Image.open(io.BytesIO(jpeg)) as image:
        assert image.size == (16, 16)
        assert not image.getexif()
    assert dicom_to_jpeg(content) == jpeg


@pytest.mark.parametrize(
    ("burned_in", "marked", "dropped"),
    [
        (BurnedIn.DROP, "YES", True),
        (BurnedIn.DROP, "NO", False),
        (BurnedIn.DROP, None, False),
        (BurnedIn.DROP_UNKNOWN, "YES", True),
        (BurnedIn.DROP_UNKNOWN, "NO", False),
        (BurnedIn.DROP_UNKNOWN, None, True),
        (BurnedIn.KEEP, "YES", False),
    ],
)
def test_burned_in_annotations(burned_in: BurnedIn, marked: str | None, dropped: bool) -> None:
    content = encode(RAMP, **({} if marked is None else {"BurnedInAnnotation": marked}))
    if not dropped:
        assert dicom_pixels(content, burned_in=burned_in).shape == (16, 16)
        return
    with pytest.raises(Dropped, match=r"DICOM header .*burned-in annotations"):
        dicom_pixels(content, burned_in=burned_in)


def test_what_is_no_image_is_dropped_by_reason() -> None:
    whole = encode(RAMP)
    for content, reason in (
        (encode(RAMP, Modality="SEG"), "DICOM object is not an image"),
        (whole[:-100], "DICOM file does not decode"),
        (whole[:140], "DICOM file is truncated"),
    ):
        with pytest.raises(Dropped, match=reason):
            dicom_pixels(content)


@pytest.mark.parametrize(
    ("fields", "shape"),
    [
        ({"PixelAspectRatio": [2, 1]}, (32, 16)),
        ({"PixelAspectRatio": [3, 4]}, (16, 21)),
        ({"PixelSpacing": [5.0, 1.0]}, (80, 16)),
        ({"PixelSpacing": [0.2, 0.4]}, (16, 32)),
        ({"ImagerPixelSpacing": [2.0, 1.0]}, (32, 16)),
        ({"NominalScannedPixelSpacing": [2.0, 1.0]}, (32, 16)),
        ({"PixelSpacing": [0.5, 0.5], "PixelAspectRatio": [1, 1]}, (16, 16)),
        ({"PixelSpacing": [0.4882813, 0.488281]}, (16, 16)),
        ({"PixelSpacing": [0.0, 1.0]}, (16, 16)),
        ({"PixelSpacing": [-1.0, 1.0], "PixelAspectRatio": [2, 1]}, (32, 16)),
        ({"PixelSpacing": [1.0]}, (16, 16)),
        ({"PixelSpacing": None, "PixelAspectRatio": [2, 1]}, (32, 16)),
    ],
)
def test_pixels_become_squares(fields: dict, shape: tuple[int, int]) -> None:
    assert dicom_pixels(encode(RAMP, **fields)).shape == shape
    colours = np.repeat((RAMP // 16).astype(np.uint8)[..., None], 3, axis=2)
    rgb = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    assert dicom_pixels(encode(colours, **rgb, **fields)).shape == (*shape, 3)


def test_the_pixel_spacing_of_a_functional_group() -> None:
    measures, groups = Dataset(), Dataset()
    measures.PixelSpacing = [2, 1]
    groups.PixelMeasuresSequence = [measures]
    assert dicom_pixels(encode(RAMP, SharedFunctionalGroupsSequence=[groups])).shape == (32, 16)


@pytest.mark.parametrize("shape", [(65_501, 2), (2, 65_501)])
def test_more_rows_or_columns_than_jpeg_has_are_counted(shape: tuple[int, int]) -> None:
    content = encode(np.zeros(shape, np.uint8))
    assert dicom_pixels(content).shape == shape
    with pytest.raises(Dropped, match="DICOM image has more than 65,500 rows or columns"):
        dicom_to_jpeg(content)
    with pytest.raises(Dropped, match="DICOM image has more than 65,500 rows or columns"):
        dicom_to_jpeg(encode(np.zeros((16, 16), np.uint8), PixelAspectRatio=[5000, 1]))
    assert dicom_to_jpeg(encode(np.zeros((65_500, 1), np.uint8)))


def test_more_pixels_than_an_image_has_are_counted() -> None:
    for content in (
        encode(RAMP, Rows=9000, Columns=9000),
        encode(np.zeros((1000, 1000), np.uint8), PixelSpacing=[100, 1]),
    ):
        with pytest.raises(Dropped, match="image has more than 80 million pixels"):
            dicom_pixels(content)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize(("bits", "scale"), [(8, 1), (16, 257), (16, 1)])
def test_palettes_of_any_depth_and_byte_order(bits: int, scale: int, big_endian: bool) -> None:
    colours = np.stack([np.arange(256), 255 - np.arange(256), np.full(256, 9)]) * scale
    dataset = image(np.arange(256, dtype=np.uint8).reshape(16, 16), PhotometricInterpretation="PALETTE COLOR")
    for name, channel in zip(("Red", "Green", "Blue"), colours, strict=True):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        words = np.frombuffer(channel.astype(f"<u{bits // 8}").tobytes(), "<u2")  # bytes are packed in words too
        setattr(dataset, f"{name}PaletteColorLookupTableData", words.astype(">u2" if big_endian else "<u2").tobytes())
    if big_endian:
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    shown = dicom_pixels(saved(dataset))
    np.testing.assert_array_equal(shown.reshape(256, 3), colours.T // scale)


def test_the_palette_and_not_the_frame_tells_how_bright_its_colours_are() -> None:
    dataset = image(np.full((4, 4), 1, np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [3, 0, 16])
        setattr(dataset, f"{name}PaletteColorLookupTableData", np.array([0, 2000, 65535], "<u2").tobytes())
    assert dicom_pixels(saved(dataset)).max() == 2000 >> 8


def test_transparent_colours_of_a_palette_are_laid_on_white() -> None:
    dataset = image(np.array([[0, 1]], np.uint8), PhotometricInterpretation="PALETTE COLOR")
    for name, data in (("Red", [9, 9]), ("Green", [9, 9]), ("Blue", [9, 9]), ("Alpha", [0, 255])):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [2, 0, 8]) if name != "Alpha" else None
        setattr(dataset, f"{name}PaletteColorLookupTableData", bytes(data))
    assert dicom_pixels(saved(dataset)).tolist() == [[[255] * 3, [9] * 3]]
    assert dicom_to_jpeg(saved(dataset))


SMALL = [
    encode(RAMP, WindowCenter=1024, WindowWidth=1025, RescaleSlope=2, RescaleIntercept=-1024, PixelPaddingValue=0, PixelAspectRatio=[2, 1]),
    encode(RAMP, VOILUTSequence=[Dataset()], SharedFunctionalGroupsSequence=[Dataset()]),
]


@settings(deadline=None, max_examples=300)
@given(
    content=st.sampled_from(SMALL),
    changes=st.lists(st.tuples(st.integers(132, 1200), st.integers(0, 255)), min_size=1, max_size=12),
    start=st.sampled_from([0, 132]),
    length=st.integers(0, 2000),
)
def test_damaged_files_raise_nothing_else(content: bytes, changes: list[tuple[int, int]], start: int, length: int) -> None:
    damaged = bytearray(content)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(Dropped):
            dicom_to_jpeg(bytes(damaged[start:length]))


@pytest.mark.real_data
def test_real_files(shared_data: Path) -> None:
    shapes = {}
    for path in sorted((shared_data / "dicom").iterdir()):
        try:
            pixels = dicom_pixels(path.read_bytes())
        except Dropped as drop:
            shapes[path.name] = drop.reason
            continue
        assert pixels.std() > 5, path.name
        shapes[path.name] = "x".join(map(str, pixels.shape))
    assert shapes == {
        "693_J2KI.dcm": "512x512",
        "CT_small.dcm": "128x128",
        "J2K_pixelrep_mismatch.dcm": "512x512",
        "MR_small.dcm": "64x64",
        "MR_small_RLE.dcm": "64x64",
        "SC_rgb_rle.dcm": "100x100x3",
        "examples_jpeg2k.dcm": "480x640x3",
        "examples_overlay.dcm": "300x484",
        "examples_palette.dcm": "350x800x3",
        "examples_rgb_color.dcm": "240x320x3",
        "liver_1frame.dcm": "DICOM object is not an image",
    }
    plain, packed = (dicom_pixels((shared_data / "dicom" / name).read_bytes()) for name in ("MR_small.dcm", "MR_small_RLE.dcm"))
    np.testing.assert_array_equal(plain, packed)
