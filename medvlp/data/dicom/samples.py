"""The stored samples of one frame: without the bits of others, and without padding."""

import tempfile
from typing import TYPE_CHECKING

import numpy as np

from medvlp.data.dicom.header import number

if TYPE_CHECKING:
    from pydicom import Dataset


def read_samples(dataset: "Dataset", frame: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the samples of a frame with one sample per pixel, and which of them are an image and not padding; both [rows, columns]."""
    from pydicom.pixels import pixel_array
    from pydicom.uid import JPEGExtended12Bit

    if dataset.file_meta.TransferSyntaxUID == JPEGExtended12Bit and int(dataset.BitsStored) > 8:
        samples = _twelve_bit_jpeg(dataset, frame)
        return samples, ~_padding(samples, samples, dataset)
    # pydicom clears unused bits, but not of JPEG 2000 and JPEG-LS, and not below the stored ones.
    cells = pixel_array(dataset, index=frame, correct_unused_bits=False)
    if cells.dtype.kind == "f":
        finite = np.isfinite(cells)
        return np.where(finite, cells, 0), finite & ~_float_padding(cells, dataset)
    samples = _stored_bits(cells, dataset)
    return samples, ~_padding(cells, samples, dataset)


def _twelve_bit_jpeg(dataset: "Dataset", frame: int) -> np.ndarray:
    """Decode with gdcm's reader of files: pydicom refuses this JPEG, whose samples have more than 8 bits."""
    import gdcm

    with tempfile.NamedTemporaryFile(suffix=".dcm") as file:
        dataset.save_as(file.name)
        reader = gdcm.ImageReader()
        reader.SetFileName(file.name)
        if not reader.Read():
            raise ValueError("gdcm cannot read the file")
    image = reader.GetImage()
    kind = np.dtype("<i2" if dataset.PixelRepresentation else "<u2")
    cells = np.frombuffer(image.GetBuffer().encode("utf-8", "surrogateescape"), dtype=kind)
    return cells.reshape(-1, int(dataset.Rows), int(dataset.Columns))[frame]


def _stored_bits(cells: np.ndarray, dataset: "Dataset") -> np.ndarray:
    """Return the stored bits of cells; the others may hold an overlay."""
    from pydicom.uid import RLELossless

    size, stored = 8 * cells.dtype.itemsize, int(dataset.BitsStored)
    highest = number(dataset, "HighBit")
    # A codec that knows how many bits a sample has puts them at the lower end.
    syntax = dataset.file_meta.TransferSyntaxUID
    in_cells = not syntax.is_encapsulated or syntax == RLELossless
    top = int(highest) + 1 if in_cells and stored <= highest + 1 <= size else stored
    return (cells << (size - top)) >> (size - stored)


def _float_padding(cells: np.ndarray, dataset: "Dataset") -> np.ndarray:
    name = "FloatPixelPadding" if cells.itemsize == 4 else "DoubleFloatPixelPadding"
    padding = _padding_range(dataset, name)
    if not padding:
        return np.zeros(cells.shape, dtype=bool)
    low, high = sorted(map(cells.dtype.type, padding))
    return (cells >= low) & (cells <= high)


def _padding(cells: np.ndarray, samples: np.ndarray, dataset: "Dataset") -> np.ndarray:
    padding = _padding_range(dataset, "PixelPadding")
    if not padding:
        return np.zeros(cells.shape, dtype=bool)
    low, high = sorted(_wrapped(value, cells.dtype) for value in padding)
    stored, signed = int(dataset.BitsStored), cells.dtype.kind == "i"
    least = -(2 ** (stored - 1)) if signed else 0
    # Some devices write padding that the stored bits cannot hold.
    where = samples if least <= low and high < least + 2**stored else cells
    return (where >= low) & (where <= high)


def _padding_range(dataset: "Dataset", name: str) -> tuple[float, float] | None:
    """Return the padding value and the limit of its range, which is the value itself if there is none; None without padding."""
    value, limit = number(dataset, f"{name}Value"), number(dataset, f"{name}RangeLimit")
    return None if np.isnan(value) else (value, value if np.isnan(limit) else limit)


def _wrapped(value: float, cell: np.dtype) -> int:
    """Return a value as a cell holds it: the header may have it signed where cells are not, or the other way round."""
    size = 8 * cell.itemsize
    wrapped = int(value) % 2**size
    return wrapped - 2**size if cell.kind == "i" and wrapped >= 2 ** (size - 1) else wrapped
