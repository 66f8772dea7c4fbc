"""What a corpus is: independent items that become samples."""

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
