"""Identities that are burned into the pixels: what headers say of them, and what to do."""

from enum import StrEnum
from typing import TYPE_CHECKING

from medvlp.data.sample import Excluded
from medvlp.errors import ConfigurationError

if TYPE_CHECKING:
    from pydicom import Dataset


class BurnedIn(StrEnum):
    """How to treat identities that are burned into the pixels."""

    DROP = "drop"
    """Leave out images whose header declares them (Burned In Annotation is YES)."""
    DROP_UNKNOWN = "drop-unknown"
    """Keep only images whose header declares that there are none: few headers do."""
    KEEP = "keep"
    """Keep all images: for data that were cleaned before."""


def burned_in_rule(name: str) -> BurnedIn:
    """Return the rule with this name.

    Raises:
        ConfigurationError: there is none.
    """
    try:
        return BurnedIn(name)
    except ValueError as error:
        raise ConfigurationError(f"burned_in must be one of {', '.join(BurnedIn)}, not {name!r}") from error


def check_burned_in(dataset: "Dataset", rule: BurnedIn) -> None:
    """Apply the rule to a header.

    Raises:
        Excluded: the image may show an identity.
    """
    marked = str(dataset.get("BurnedInAnnotation", "")).upper()
    if rule is not BurnedIn.KEEP and marked == "YES":
        raise Excluded("DICOM header declares burned-in annotations")
    if rule is BurnedIn.DROP_UNKNOWN and marked != "NO":
        raise Excluded("DICOM header does not declare the image free of burned-in annotations")
