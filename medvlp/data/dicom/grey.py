"""Show grey values: rescaling, then the first lookup table or window of the header that can be used."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from medvlp.data.dicom.header import number, numbers

if TYPE_CHECKING:
    from pydicom import Dataset

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_WHITE = 255


@dataclass(frozen=True)
class LookupTable:
    """A modality or VOI lookup table.

    pydicom has a function for these, but it fails on tables of 9 to 15 bits, and looks up entries above 255 of an 8-bit table wrongly.
    """

    entries: np.ndarray
    first: int
    """The value that the first entry stands for."""
    bits: int
    """Bits of an entry."""

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the entries of values; those outside the table have its first or last."""
        return self.entries[np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1).astype(np.int64)]


def rescaled(samples: np.ndarray, headers: Sequence["Dataset"]) -> np.ndarray:
    """Apply the modality lookup table or the rescaling of the first header that has a usable one, [rows, columns]."""
    from pydicom.pixels import apply_rescale

    for header in headers:
        for table in _tables(header, "ModalityLUTSequence"):
            return table(samples)
        slope, intercept = number(header, "RescaleSlope"), number(header, "RescaleIntercept")
        if not math.isnan(slope) or not math.isnan(intercept):
            usable = {"RescaleSlope": 1.0 if math.isnan(slope) or not slope else slope, "RescaleIntercept": np.nan_to_num(intercept)}
            return apply_rescale(samples, _dataset(**usable))
    return samples


def shown(values: np.ndarray, inside: np.ndarray, headers: Sequence["Dataset"]) -> np.ndarray:
    """Return the brightness of values, floats [rows, columns] from 0 for black to 255 for white.

    Args:
        values: rescaled values, [rows, columns].
        inside: which of them are an image and not padding, bool [rows, columns].
        headers: where to look for a lookup table or window; without one, it is the range of the values inside.
    """
    from pydicom.pixels import apply_windowing

    for header in headers:
        for table in _tables(header, "VOILUTSequence"):
            return np.clip(table(values) * (_WHITE / (2.0**table.bits - 1)), 0, _WHITE)
        for window in _windows(header):
            with np.errstate(over="ignore"):  # the exponential of a sigmoid
                return np.clip(apply_windowing(values, window), 0, _WHITE)
    seen = values[inside] if inside.any() else values
    low, high = float(seen.min()), float(seen.max())
    return np.clip((values.astype(np.float64) - low) * (_WHITE / max(high - low, 1e-9)), 0, _WHITE)


def _windows(header: "Dataset") -> Iterator["Dataset"]:
    """Yield the usable windows of a header, in its order, as data sets for pydicom that map them to 0 … 255."""
    function = str(header.get("VOILUTFunction") or "").strip().upper()
    for center, width in zip(numbers(header, "WindowCenter"), numbers(header, "WindowWidth"), strict=False):
        if math.isnan(center) or not width > 0:
            continue
        usable = function if function in _FUNCTIONS else "LINEAR"
        if usable == "LINEAR" and width < 1:
            usable = "LINEAR_EXACT"  # LINEAR is for whole numbers; such widths are written for values between 0 and 1
        window = _dataset(WindowCenter=center, WindowWidth=width)
        window.VOILUTFunction, window.PhotometricInterpretation, window.PixelRepresentation = usable, "MONOCHROME2", 0
        window.BitsStored = 8
        yield window


def _tables(header: "Dataset", keyword: str) -> Iterator[LookupTable]:
    """Yield the usable lookup tables of a sequence, in its order."""
    for item in header.get(keyword) or []:
        descriptor, data = numbers(item, "LUTDescriptor"), item.get("LUTData")
        if len(descriptor) != 3 or data is None or not all(map(math.isfinite, descriptor)):
            continue
        length, first, bits = map(int, descriptor)
        length = length or 2**16
        if isinstance(data, bytes):
            data = np.frombuffer(data, _entry_type(item, len(data) // length))
        entries = np.atleast_1d(np.asarray(data))[:length]
        if 1 <= bits <= 16 and len(entries) == length:
            yield LookupTable(entries, first, bits)


def _entry_type(item: "Dataset", size: int) -> str:
    little = item.original_encoding[1] is not False
    return "u1" if size == 1 else "<u2" if little else ">u2"


def _dataset(**values: float) -> "Dataset":
    """Return a data set of numbers. As FD, because the decimal strings of DICOM have at most 16 characters."""
    from pydicom import DataElement, Dataset

    dataset = Dataset()
    for keyword, value in values.items():
        dataset.add(DataElement(keyword, "FD", float(value)))
    return dataset
