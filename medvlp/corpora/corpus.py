"""What a corpus is: independent items that become samples."""

from collections.abc import Mapping
from typing import Protocol

from medvlp.data.sample import Sample


class Corpus(Protocol):
    """Items in named splits. Picklable; ``sample`` is a pure function of the split and the index."""

    @property
    def name(self) -> str:
        """What manifests call it."""
        ...

    @property
    def public(self) -> bool:
        """Whether pictures of its images may be logged without being asked for."""
        ...

    @property
    def fingerprint(self) -> str:
        """Of what the samples are made from: a changed corpus has another one, even where it has as many items."""
        ...

    @property
    def left_out(self) -> Mapping[str, int]:
        """Rows of the official files that are no items, by reason: another language, another kind of image."""
        ...

    def splits(self) -> dict[str, int]:
        """Number of items of every split, dropped ones included; "train" and "validation" are what training reads."""
        ...

    def sample(self, split: str, index: int) -> Sample:
        """The sample at ``index`` of ``split``.

        Raises:
            Dropped: the corpus's own rules leave it out.
            DataError: a file is missing or not what it claims to be.
        """
        ...
