"""Recognise and read DICOM files, with and without preamble and file meta information; check that there is a decoder."""

import io
from typing import TYPE_CHECKING

from medvlp.data.sample import Dropped

if TYPE_CHECKING:
    from pydicom import Dataset

_PREAMBLE = 128
_MAGIC = b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00", b"\x00\x08")
"""The groups with which a file without preamble begins: file meta information or identification, in little or big endian."""
_TAG = 4
_FIRST_ELEMENT = 256
"""More bytes than the first element of a data set has: a group length, a character set, an image type or a UID."""


def is_dicom(content: bytes) -> bool:
    """Return whether a file is a DICOM file, or a DICOM data set without the preamble or "DICM" of the file format."""
    return content[_PREAMBLE : _PREAMBLE + len(_MAGIC)] == _MAGIC or _begins_with_element(content.removeprefix(_MAGIC))


def read_dicom(content: bytes) -> "Dataset":
    """Read a file to a data set that names its transfer syntax.

    Raises:
        Dropped: the file ends before its pixels, or they are compressed and it does not say how.
    """
    from pydicom import FileMetaDataset, dcmread
    from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    dataset = dcmread(io.BytesIO(content.removeprefix(_MAGIC)), force=True)  # some files lack the preamble alone
    if not len(dataset) and dataset.file_meta:
        raise Dropped("DICOM file is truncated")  # pydicom returns an empty data set
    if not hasattr(dataset, "file_meta"):
        dataset.file_meta = FileMetaDataset()
    if not dataset.file_meta.get("TransferSyntaxUID"):
        if "PixelData" in dataset and dataset["PixelData"].is_undefined_length:
            raise Dropped("DICOM file does not name the transfer syntax of its compressed pixels")
        implicit, little = dataset.original_encoding
        explicit_syntax = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit_syntax
    return dataset


def check_decoder(dataset: "Dataset") -> None:
    """Check that there is a decoder for the pixels.

    Raises:
        Dropped: there is none for their transfer syntax.
    """
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:
        available = False
    if not available:
        raise Dropped(f"no decoder for DICOM transfer syntax {'that is not in the standard' if syntax.name == syntax else syntax.name}")


def _begins_with_element(content: bytes) -> bool:
    """Return whether a file begins with a data element: a tag, then a value representation, or a length below that of the file."""
    from pydicom.valuerep import VR

    if content[:2] not in _FIRST_GROUPS:
        return False
    representation, length = content[_TAG : _TAG + 2], content[_TAG : _TAG + 4]
    if representation.decode("latin-1") in set(VR):
        return True
    return len(length) == 4 and int.from_bytes(length, "little") < min(len(content), _FIRST_ELEMENT)
