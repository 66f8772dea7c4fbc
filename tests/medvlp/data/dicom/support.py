"""DICOM files that tests make."""

import io
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
from pydicom import Dataset, FileMetaDataset
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def encode(pixels: np.ndarray, **fields: Any) -> bytes:
    """A DICOM file of greys [rows, columns] or [frames, rows, columns], or of colours [rows, columns, 3] if it is said so."""
    return saved(image(pixels, **fields))


def image(pixels: np.ndarray, **fields: Any) -> Dataset:
    """The data set of ``encode``."""
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
    return dataset


def saved(dataset: Dataset) -> bytes:
    """The file of a data set."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def malformed(dataset: Dataset, keyword: str, text: str) -> None:
    """Give an element a text that pydicom would refuse to write."""
    tag, value = Tag(keyword), text.encode()
    value += b" " * (len(value) % 2)
    dataset[tag] = RawDataElement(tag, dictionary_VR(tag), len(value), value, 0, False, True, True)


def compressed(content: bytes, syntax: str, folder: Path) -> bytes:
    """The same file in another transfer syntax, by gdcm's name of it."""
    (folder / "plain.dcm").write_bytes(content)
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(folder / "plain.dcm"))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(folder / "packed.dcm"))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return (folder / "packed.dcm").read_bytes()
