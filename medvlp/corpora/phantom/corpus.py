"""The phantom corpus: schematic radiology with exactly known truth, made when it is asked for."""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from medvlp.corpora.phantom.grammar import Reporter
from medvlp.corpora.phantom.scene import VIEWS, Streams, compose, draw
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import Sample
from medvlp.errors import DataError


@dataclass(frozen=True)
class PhantomCorpus:
    """Images with two or three reports each; any number of them, always the same for the same seed."""

    train: int = 40_000
    validation: int = 2_000
    test: int = 2_000
    seed: int = 0
    size: int = 128
    """Side of the square images, in pixels."""
    name: str = field(default="phantom", init=False)
    public: bool = field(default=True, init=False)

    @property
    def fingerprint(self) -> str:
        """Of the options: all else is in the code."""
        return options_fingerprint(self)

    @property
    def left_out(self) -> dict[str, int]:
        """Nothing."""
        return {}

    def splits(self) -> dict[str, int]:
        """Number of images of each split."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def sample(self, split: str, index: int) -> Sample:
        """Image and reports number ``index`` of ``split``.

        Raises:
            DataError: there is no such split or item.
        """
        check_item(self.name, self.splits(), split, index)
        streams = phantom_streams(self.seed, split, index)
        rng = streams("scene")
        view = VIEWS[rng.integers(len(VIEWS))]
        image, truth = draw(compose(view, rng), self.size, streams)
        return Sample(
            image=image,
            texts=Reporter(view, truth, streams("texts")).texts(),
            source_id=f"{self.name}-{split}-{index}",
            modality=view.modality,
            attributes=truth.to_attributes(),
        )


def phantom_streams(seed: int, *key: int | str) -> Streams:
    """The random numbers of the item at ``key``."""
    return partial(keyed_generator, seed, Purpose.CORPUS, *key)


def options_fingerprint(corpus: Any) -> str:
    """A hash of the fields of a corpus that is made, not read."""
    return hashlib.sha256(json.dumps(asdict(corpus), sort_keys=True).encode()).hexdigest()[:16]


def check_item(corpus: str, splits: dict[str, int], split: str, index: int) -> None:
    """Refuse an item that the corpus does not have.

    Raises:
        DataError: there is no such split or item.
    """
    if split not in splits:
        raise DataError(f"corpus {corpus!r} has no split {split!r}; it has {', '.join(splits)}")
    if not 0 <= index < splits[split]:
        raise DataError(f"split {split!r} of corpus {corpus!r} has {splits[split]} items, there is no item {index}")
