"""Read a header as files have it: empty, malformed and per-frame values."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

_MACROS = ("FrameVOILUTSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence")
"""The functional groups that say how to show a frame: its windows, its rescaling and its pixel spacing."""


def frame_headers(dataset: "Dataset", frame: int) -> list["Dataset"]:
    """Return the data sets that may say how to show a frame, the most specific first.

    These are its own functional groups, those that all frames share, and the whole data set.
    """
    headers = []
    for keyword, place in (("PerFrameFunctionalGroupsSequence", frame), ("SharedFunctionalGroupsSequence", 0)):
        for groups in list(dataset.get(keyword) or [])[place : place + 1]:
            headers += [item for macro in _MACROS for item in groups.get(macro) or []]
    return [*headers, dataset]


def numbers(header: "Dataset", keyword: str) -> list[float]:
    """Return the values of an element; NaN for what is empty or not a finite number. A decimal comma is understood."""
    try:
        value = header.get(keyword)
    except (ValueError, TypeError, ArithmeticError):  # pydicom refuses some malformed numbers
        return []
    return [_number(each) for each in (value if isinstance(value, Iterable) and not isinstance(value, str | bytes) else [value])]


def number(header: "Dataset", keyword: str) -> float:
    """Return the first value of an element; NaN if there is none, see ``numbers``."""
    return next(iter(numbers(header, keyword)), math.nan)


def _number(value: object) -> float:
    try:
        parsed = float(str(value).replace(",", "."))
    except ValueError:
        return math.nan
    return parsed if math.isfinite(parsed) else math.nan
