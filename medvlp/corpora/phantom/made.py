"""The base of all phantom corpora: any number of items, generated on demand, always the same for the same options."""

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Annotated, Any

from medvlp.corpora.corpus import Grouping
from medvlp.corpora.identity import hashed_group
from medvlp.corpora.phantom.scene import Streams
from medvlp.corpora.phantom.truth import Truth
from medvlp.corpora.phantom.view import View
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import Sample
from medvlp.errors import DataError
from medvlp.values import AnyInteger, Checked, CountOrZero, Range


@dataclass(frozen=True)
class MadeCorpus(Checked, ABC):
    """A ``Corpus`` without files."""

    train: CountOrZero
    validation: CountOrZero = 2_000
    test: CountOrZero = 2_000
    seed: AnyInteger = 0
    size: Annotated[int, Range(at_least=16, at_most=4096)] = 128
    """Side of the square images, in pixels."""
    name: str = field(init=False)
    public: bool = field(default=True, init=False)

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the options: all else is in the code."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    @property
    def left_out(self) -> dict[str, int]:
        """Nothing."""
        return {}

    @property
    def rejected(self) -> int:
        """None."""
        return 0

    @property
    def maximum_missing(self) -> float:
        """None may be bad."""
        return 0.0

    @property
    def grouping(self) -> Grouping:
        """Each item is independent of all others."""
        return Grouping({"image": self.train + self.validation + self.test})

    def splits(self) -> dict[str, int]:
        """Number of items of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def sample(self, split: str, index: int) -> Sample:
        """Return item number ``index`` of ``split``.

        Raises:
            DataError: there is no such split or item.
        """
        sizes = self.splits()
        if split not in sizes:
            raise DataError(f"corpus {self.name!r} has no split {split!r}; it has {', '.join(sizes)}")
        if not 0 <= index < sizes[split]:
            raise DataError(f"split {split!r} of corpus {self.name!r} has {sizes[split]} items; there is no item {index}")
        return self._make(split, index)

    def where(self, split: str, index: int) -> str:
        """Return the name of the item."""
        return f"{self.name}-{split}-{index}"

    @abstractmethod
    def _make(self, split: str, index: int) -> Sample: ...

    def _sample(self, split: str, index: int, image: bytes, view: View, truth: Truth, **fields: Any) -> Sample:
        """Create a sample from an image with all its known data; it is independent of all others, so it is its own group."""
        source = self.where(split, index)
        return Sample(
            image=image,
            source_id=source,
            modality=truth.modality,
            labels=truth.labels(kind.name for kind in view.kinds),
            boxes=truth.boxes,
            group=hashed_group(self.name, source),
            attributes=truth.to_attributes(),
            **fields,
        )


def phantom_streams(seed: int, *key: int | str) -> Streams:
    """Return the random numbers of the item at ``key``."""
    return partial(keyed_generator, seed, Purpose.CORPUS, *key)
