"""The protocol of a corpus: independent items that become samples."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from medvlp.data.sample import Sample

STATED = "stated by the corpus"


@dataclass(frozen=True)
class Grouping:
    """What stays together in one split, and how the splits were made."""

    kinds: Mapping[str, int] = field(default_factory=dict)
    """Number of items by what their group is: patient_id, case_id, image."""
    splits: str = STATED
    """How the splits were made."""


class Corpus(Protocol):
    """Items in named splits. Picklable; ``sample`` is a pure function of the split and the index."""

    @property
    def name(self) -> str:
        """Its name in manifests."""
        ...

    @property
    def public(self) -> bool:
        """Whether pictures of its images may be logged by default."""
        ...

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the source of the samples: it changes with the content, even if the number of items stays the same."""
        ...

    @property
    def left_out(self) -> Mapping[str, int]:
        """Rows of the official files that are not items, by reason: another language, no image, a value of the wrong kind."""
        ...

    @property
    def rejected(self) -> int:
        """How many of them do not match the schema of their file."""
        ...

    @property
    def maximum_missing(self) -> float:
        """Fraction of the rows that may be bad: rejected, or dropped because their image is missing or damaged."""
        ...

    @property
    def grouping(self) -> Grouping:
        """What stays together in one split."""
        ...

    def splits(self) -> dict[str, int]:
        """Number of items of every split, including dropped ones; training reads "train" and "validation"."""
        ...

    def sample(self, split: str, index: int) -> Sample:
        """Return the sample at ``index`` of ``split``.

        Raises:
            Dropped: its image is missing or damaged, or the rules of the corpus exclude it (``Excluded``).
            DataError: a file is missing or invalid.
        """
        ...

    def where(self, split: str, index: int) -> str:
        """Return where the item comes from, for messages."""
        ...
