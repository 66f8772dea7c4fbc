"""The protocol of a corpus: independent items that become samples."""

from collections.abc import Mapping
from typing import Protocol

from medvlp.data.sample import Sample


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
        """Rows of the official files that are not items, by reason: another language, another kind of image."""
        ...

    def splits(self) -> dict[str, int]:
        """Number of items of every split, including dropped ones; training reads "train" and "validation"."""
        ...

    def sample(self, split: str, index: int) -> Sample:
        """Return the sample at ``index`` of ``split``.

        Raises:
            Dropped: the rules of the corpus exclude it.
            DataError: a file is missing or invalid.
        """
        ...
