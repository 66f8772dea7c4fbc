"""The sample: what a corpus yields, a shard stores and the stream carries.

``RowFields`` and ``SampleFields`` are the one table of its fields. Each field states its type in Python and in Arrow; the columns of
shards, of the files beside them, of the stream and of items that wait for their image all follow from it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, NamedTuple, get_origin, get_type_hints

import pyarrow as pa

State = Literal["positive", "negative", "uncertain"]

_WHITESPACE = re.compile(r"\s+")


class Label(NamedTuple):
    """What is known of a sample for classification. What is not mentioned has no label at all."""

    set: str
    """What the value is one of: "chexpert", or the name of a column with classes."""
    value: str
    state: State = "positive"


class Box(NamedTuple):
    """Where something is in the image, in fractions of its width and height, so that it holds in any size."""

    name: str
    left: float
    top: float
    right: float
    bottom: float


_TEXTS = pa.list_(pa.string())
_LABEL = pa.struct([("set", pa.string()), ("value", pa.string()), ("state", pa.string())])
_BOX = pa.struct([("name", pa.string()), *((side, pa.float64()) for side in Box._fields[1:])])
_STRUCTS: Mapping[pa.DataType, type] = {_LABEL: Label, _BOX: Box}


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFields:
    """What is known of a sample and reaches the batches of a task."""

    modality: Annotated[str, pa.string()] = ""
    """The group within which validation compares samples; "" if unknown."""
    answers: Annotated[tuple[str, ...], _TEXTS] = ()
    """Right answers to the question that is the sample's only text; the first is the reference."""
    answer_type: Annotated[str, pa.string()] = ""
    """What a benchmark reports by."""
    labels: Annotated[tuple[Label, ...], pa.list_(_LABEL)] = ()
    boxes: Annotated[tuple[Box, ...], pa.list_(_BOX)] = ()
    group: Annotated[str, pa.string()] = ""
    """A hash of what the sample belongs to: its patient, case, study or image; "" if that is unknown."""
    attributes: Annotated[dict[str, Any], pa.string()] = field(default_factory=dict)
    """Anything else worth keeping (exact truth of a phantom, licence, view), as JSON; a row has it if its reader is asked for it."""

    @property
    def answer(self) -> str:
        """The reference answer; "" if there is none."""
        return self.answers[0] if self.answers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFields(RowFields):
    """Everything about a sample but its image."""

    texts: Annotated[tuple[str, ...], _TEXTS]
    source_id: Annotated[str, pa.string()]
    """The corpus's own identifier; stays in the shard and beside it, and is never logged."""


@dataclass(frozen=True, kw_only=True)
class Sample(SampleFields):
    """One image with its texts, as a corpus yields it. The image stays encoded."""

    image: bytes
    """An encoded JPEG or PNG file."""

    def metadata(self) -> bytes:
        """The sample without its image, as the JSON member of a shard: the same bytes for the same sample."""
        return json.dumps(to_columns(self), ensure_ascii=False, sort_keys=True).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow(RowFields):
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


def _columns(table: type[RowFields]) -> dict[str, pa.DataType]:
    hints = get_type_hints(table, include_extras=True)
    return {each.name: hints[each.name].__metadata__[0] for each in fields(table)}


ROW_COLUMNS: Mapping[str, pa.DataType] = _columns(RowFields)
"""Columns that the stream passes on, by name."""
SAMPLE_COLUMNS: Mapping[str, pa.DataType] = _columns(SampleFields)
"""Columns of everything about a sample but its key and image, by name."""
SAMPLE_SCHEMA = pa.schema([("key", pa.string()), ("image", pa.binary()), *SAMPLE_COLUMNS.items()])
"""Columns of a sample inside Ray: Arrow-native only, so that block sizes are known and nothing is pickled."""

_AS_JSON = {name for name, hint in get_type_hints(SampleFields).items() if get_origin(hint) is dict}


def to_columns(sample: SampleFields) -> dict[str, Any]:
    """The values of ``SAMPLE_COLUMNS``: what Arrow and JSON know."""
    return {name: _plain(getattr(sample, name)) for name in SAMPLE_COLUMNS}


def from_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by name from values of columns, which may be a part of ``SAMPLE_COLUMNS``: the reverse of ``to_columns``."""
    return {name: _typed(name, value) for name, value in values.items()}


def field_values(name: str, values: Iterable[Any]) -> list[Any]:
    """Values of one field of many samples from those of its column."""
    return [_typed(name, value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, tuple):
        return [each._asdict() if isinstance(each, (Label, Box)) else each for each in value]
    return value


def _typed(name: str, value: Any) -> Any:
    if name in _AS_JSON:
        return json.loads(value) if value else {}
    column = SAMPLE_COLUMNS[name]
    if not pa.types.is_list(column):
        return value
    struct = _STRUCTS.get(column.value_type)
    return tuple(value) if struct is None else tuple(struct(**each) for each in value)


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
