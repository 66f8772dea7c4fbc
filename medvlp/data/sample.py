"""The sample: what a corpus yields, a shard stores and the stream carries."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

SAMPLE_SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("image", pa.binary()),
        ("texts", pa.list_(pa.string())),
        ("modality", pa.string()),
        ("answer", pa.string()),
        ("answer_type", pa.string()),
    ]
)
"""Columns of a sample inside Ray: Arrow-native only, so that block sizes are known and nothing is pickled."""

_WHITESPACE = re.compile(r"\s+")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One image with its texts, as a corpus yields it.

    The image stays encoded. ``modality`` is the group within which validation compares samples ("" if unknown).
    A question is the only text of its sample and has an ``answer``; ``answer_type`` is what the benchmark reports by.
    """

    image: bytes
    """An encoded JPEG or PNG file."""
    texts: tuple[str, ...]
    source_id: str
    """The corpus's own identifier; stays in the shard and is never logged."""
    modality: str = ""
    answer: str = ""
    answer_type: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)
    """Anything else worth keeping (exact truth of a phantom, licence, view): JSON values only."""

    def metadata(self) -> bytes:
        """The sample without its image, as the JSON member of a shard: the same bytes for the same sample."""
        names = ("texts", "modality", "answer", "answer_type", "source_id", "attributes")
        record = {name: getattr(self, name) for name in names}
        return json.dumps(record, ensure_ascii=False, sort_keys=True).encode()


class Dropped(Exception):
    """A corpus's own rule leaves this item out; counted by reason in the manifest, never an error."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def clean_texts(texts: Iterable[str], minimum_words: int = 3) -> tuple[str, ...]:
    """Collapse white space and leave out texts of fewer than ``minimum_words`` words (ARL's preparation).

    Raises:
        Dropped: no text is left.
    """
    cleaned = (_WHITESPACE.sub(" ", text.strip()) for text in texts)
    kept = tuple(text for text in cleaned if long_enough(text, minimum_words))
    if not kept:
        raise Dropped(f"no text of at least {minimum_words} words")
    return kept


def long_enough(text: str, minimum_words: int) -> bool:
    """Whether a text has at least so many words."""
    return len(text.split()) >= minimum_words


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """One planned slot of the stream: a sample with its caption chosen and its knowledge joined.

    Spans are character offsets into ``text``, half open, each with an entity id of the knowledge bundle.
    """

    position: int
    """Global position in the endless sequence of samples."""
    epoch: int
    key: str
    shard: str
    image: bytes
    text: str
    spans: tuple[tuple[int, int, int], ...]
    """(start, end, entity id), ascending, not overlapping."""
    image_entities: tuple[int, ...]
    """Entity ids of all texts of the image, ascending; what the texts deny is left out, unless the reader was told otherwise."""
    negative_image: bytes = b""
    """An image drawn from the whole corpus; empty unless the run asks for such negatives."""
    modality: str = ""
    answer: str = ""
    answer_type: str = ""
