"""How many bad rows a corpus may have: one never stops it, more than a given fraction always do, whatever is wrong with them."""

import math
from collections.abc import Mapping

from medvlp.errors import DataError

MAXIMUM_MISSING = 0.01
"""Fraction of the rows that may be bad: a lost file or two, as in SLAKE, but not half a download."""


def is_within(bad: int, rows: int, maximum: float) -> bool:
    """Return whether so many of the rows may be bad. One may always be, unless ``maximum`` is 0."""
    return bad <= max(maximum * rows, 1 if maximum else 0)


def too_many(what: str, reasons: Mapping[str, int], rows: int, remedy: str, first: str) -> DataError:
    """Return the error about too many bad rows.

    Args:
        what: the rows, with their corpus or file.
        reasons: number of bad rows by reason.
        rows: number of all rows.
        remedy: what to do.
        first: file and line of the first, and what is wrong with it.
    """
    bad = sum(reasons.values())
    counted = "; ".join(f"{count} × {reason}" for reason, count in sorted(reasons.items(), key=lambda each: -each[1]))
    share = math.ceil(bad / rows * 1000) / 1000
    leave_out = f", or set --options.maximum_missing {share:g} to leave them out" if bad < rows else ""
    return DataError(f"{bad} of the {rows} {what} cannot be used: {counted}. {remedy}{leave_out}. The first: {first}")
