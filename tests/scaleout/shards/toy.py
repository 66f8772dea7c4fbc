"""A corpus small enough to reason about, for the tests of shards and links."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from PIL import Image

from medvlp.corpora.corpus import Grouping
from medvlp.data.sample import Excluded, Sample

WORDS = ("left", "right", "effusion", "nodule", "naïve ☃", "mass")


@dataclass(frozen=True)
class ToyCorpus:
    """Grey squares with two texts each; some items can be made bad."""

    train: int = 25
    validation: int = 10
    broken: frozenset[int] = frozenset()
    """Items whose image is cut in half."""
    short: frozenset[int] = frozenset()
    """Items that the corpus's own rules leave out."""
    name: str = field(default="toy", init=False)
    public: bool = field(default=True, init=False)
    fingerprint: str = "toy"
    left_out: Mapping[str, int] = field(default_factory=dict)
    rejected: int = 0
    maximum_missing: float = 0.5
    grouping: Grouping = field(default_factory=Grouping)

    def splits(self) -> dict[str, int]:
        """Number of items of each split."""
        return {"train": self.train, "validation": self.validation}

    def where(self, split: str, index: int) -> str:
        """Its number."""
        return f"{split} {index}"

    def sample(self, split: str, index: int) -> Sample:
        """Item ``index``: PNG and JPEG in turn."""
        if index in self.short:
            raise Excluded("no text of at least 3 words")
        image = encode(index, "PNG" if index % 2 else "JPEG")
        return Sample(
            image=image[: len(image) // 2] if index in self.broken else image,
            texts=(f"{WORDS[index % 6]} in the {split}", f"no {WORDS[index % 5]} {index}"),
            source_id=f"{split}-{index}",
            modality=("CT", "MR")[index % 2],
        )


def encode(shade: int, image_format: str) -> bytes:
    """A grey square as an encoded image."""
    buffer = io.BytesIO()
    Image.new("L", (16, 16), shade % 256).save(buffer, image_format)
    return buffer.getvalue()
