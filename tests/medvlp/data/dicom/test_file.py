"""DICOM files are recognised and read with and without preamble and file meta information."""

import io

import numpy as np
import pytest
from pydicom import dcmwrite
from pydicom.encaps import encapsulate
from pydicom.uid import (
    HTJ2K,
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from medvlp.data.dicom import dicom_pixels, is_dicom
from medvlp.data.sample import Dropped
from tests.medvlp.data.dicom.support import RAMP, encode, image, saved

WINDOW = {"WindowCenter": 1024, "WindowWidth": 1025}


@pytest.mark.parametrize("first", ["", "ImageType", "SpecificCharacterSet", "group length"])
@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("meta", [False, True])
def test_a_file_without_preamble_is_read(syntax: str, meta: bool, first: str) -> None:
    big = syntax == ExplicitVRBigEndian
    dataset = image(RAMP.astype(">u2") if big else RAMP, **WINDOW)
    dataset.file_meta.TransferSyntaxUID = syntax
    if first == "ImageType":
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER", "A TYPE THAT SOME DEVICE MADE UP"]
    elif first == "SpecificCharacterSet":
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    elif first == "group length":
        dataset.add_new((0x0008, 0x0000), "UL", 1000)
    buffer = io.BytesIO()
    if meta:
        dcmwrite(buffer, dataset, enforce_file_format=True)
        content = buffer.getvalue()[132:]
    else:
        del dataset.file_meta
        dcmwrite(buffer, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=not big)
        content = buffer.getvalue()
    assert b"DICM" not in content
    for each in (content, b"DICM" + content):
        assert is_dicom(each)
        np.testing.assert_array_equal(dicom_pixels(each), dicom_pixels(encode(RAMP, **WINDOW)))


def test_a_preamble_without_file_meta_information_is_read() -> None:
    dataset = image(RAMP, **WINDOW)
    del dataset.file_meta
    buffer = io.BytesIO()
    dcmwrite(buffer, dataset, implicit_vr=False, little_endian=True)
    content = bytes(128) + b"DICM" + buffer.getvalue()
    assert is_dicom(content)
    np.testing.assert_array_equal(dicom_pixels(content), dicom_pixels(encode(RAMP, **WINDOW)))


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\x08\x00", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"\x08\x00 a text", b"<html>", bytes(200)]
)
def test_other_files_are_no_dicom_files(content: bytes) -> None:
    assert not is_dicom(content)


def test_compressed_pixels_without_a_transfer_syntax_are_counted_as_that() -> None:
    dataset = image(RAMP)
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.PixelData = encapsulate([b"JPEG"])
    content = saved(dataset)
    bare = content[content.index(b"\x08\x00\x16\x00") :]
    with pytest.raises(Dropped, match="DICOM file does not name the transfer syntax of its compressed pixels"):
        dicom_pixels(bare)


@pytest.mark.parametrize(
    ("syntax", "reason"),
    [
        (MPEG2MPML, "no decoder for DICOM transfer syntax MPEG2 Main Profile"),
        (HTJ2K, "no decoder for DICOM transfer syntax High-Throughput JPEG 2000"),
    ],
)
def test_a_transfer_syntax_that_nothing_decodes_is_named(syntax: str, reason: str) -> None:
    dataset = image(RAMP)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([b"data"])
    with pytest.raises(Dropped, match=reason):
        dicom_pixels(saved(dataset))


def test_a_transfer_syntax_of_a_vendor_is_not_spelt_out() -> None:
    dataset = image(RAMP)
    dataset.file_meta.TransferSyntaxUID = MPEG2MPML
    dataset.PixelData = encapsulate([b"data"])
    content = saved(dataset).replace(str(MPEG2MPML).encode(), b"1.2.840.99999.1.2.4.100")
    with pytest.raises(Dropped, match="no decoder for DICOM transfer syntax that is not in the standard"):
        dicom_pixels(content)
