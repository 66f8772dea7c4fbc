"""DICOM: what a viewer would show, and nothing that names anybody."""

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid

from medvlp.data.dicom import BurnedIn, dicom_pixels, dicom_to_jpeg, is_dicom
from medvlp.data.sample import Dropped

RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def encode(pixels: np.ndarray, **fields: Any) -> bytes:
    """A DICOM file of greys [rows, columns] or [frames, rows, columns], or of colours [rows, columns, 3] if it is said so."""
    colour = fields.get("SamplesPerPixel", 1) == 3
    frames = pixels if pixels.ndim == 3 and not colour else pixels[None]
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.PatientName, dataset.PatientID, dataset.Modality = "Doe^Jane", "4711-SECRET", "CT"
    bits = 8 * pixels.dtype.itemsize
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = frames.shape[1], frames.shape[2], len(frames)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PixelRepresentation = 1, "MONOCHROME2", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits if bits == 8 else 12, (bits if bits == 8 else 12) - 1
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset.PixelData = pixels.tobytes()
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


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
    (tmp_path / "plain.dcm").write_bytes(plain)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(tmp_path / "plain.dcm"))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(tmp_path / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    packed = (tmp_path / "packed.dcm").read_bytes()
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
        (whole[:140], "DICOM object is not an image"),
    ):
        with pytest.raises(Dropped, match=reason):
            dicom_pixels(content)
    assert is_dicom(whole)
    assert not is_dicom(b"\xff\xd8 a JPEG file")


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
