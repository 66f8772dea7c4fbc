"""The sample, which a corpus yields, a shard stores and the stream carries.

``RowFields`` and ``SampleFields`` are the single table of its fields. Each field states its type in Python and in Arrow; the columns of
shards, sidecars, the stream and items without images are all derived from it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal, NamedTuple, get_origin, get_type_hints

import pyarrow as pa

from medvlp.json_values import parse_object

State = Literal["positive", "negative", "uncertain"]

_WHITESPACE = re.compile(r"\s+")
_CHARACTERS = "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
_LETTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_MARKS = "\u3000-\u3004\u3008-\u3020\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65"
"""Full-width punctuation, which needs no spaces around it."""
_UNSPACED = re.compile(f"[{_CHARACTERS}{_LETTERS}]")
_WORD = re.compile(f"[{_CHARACTERS}]|[{_LETTERS}]{{1,4}}|[^\\s{_CHARACTERS}{_LETTERS}{_MARKS}]+")


class Label(NamedTuple):
    """A classification label of a sample. A class that is not mentioned has no label at all."""

    set: str
    """The label set: "chexpert", or the name of a column with classes."""
    value: str
    state: State = "positive"


class Box(NamedTuple):
    """A location in the image, in fractions of its width and height, so that it is valid at any size."""

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
    """The fields of a sample that reach the batches of a task."""

    modality: Annotated[str, pa.string()] = ""
    """The group within which validation compares samples; "" if unknown."""
    answers: Annotated[tuple[str, ...], _TEXTS] = ()
    """Correct answers to the question that is the sample's only text; the first is the reference."""
    answer_type: Annotated[str, pa.string()] = ""
    """The category that a benchmark reports by."""
    labels: Annotated[tuple[Label, ...], pa.list_(_LABEL)] = ()
    boxes: Annotated[tuple[Box, ...], pa.list_(_BOX)] = ()
    group: Annotated[str, pa.string()] = ""
    """A hash of the group of the sample: its patient, case, study or image; "" if unknown."""
    attributes: Annotated[dict[str, Any], pa.string()] = field(default_factory=dict)
    """Any other data (ground truth of a phantom, licence, view), as JSON; a row has it only if requested from the reader."""

    @property
    def answer(self) -> str:
        """The reference answer; "" if there is none."""
        return self.answers[0] if self.answers else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFields(RowFields):
    """All fields of a sample except its image."""

    texts: Annotated[tuple[str, ...], _TEXTS]
    source_id: Annotated[str, pa.string()]
    """The corpus's own identifier; stays in the shard and its sidecar, and is never logged."""


@dataclass(frozen=True, kw_only=True)
class Sample(SampleFields):
    """One image with its texts, as a corpus yields it. The image stays encoded."""

    image: bytes
    """An encoded JPEG or PNG file."""

    def metadata(self) -> bytes:
        """Return the sample without its image, as the JSON member of a shard: the same bytes for the same sample."""
        return json.dumps(to_columns(self), ensure_ascii=False, sort_keys=True).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow(RowFields):
    """One planned slot of the stream: a sample with a chosen caption and joined knowledge.

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
    """Entity ids of all texts of the image, ascending; negated ones are left out, unless the reader is set to keep them."""
    negative_image: bytes = b""
    """An image drawn from the whole corpus; empty unless the run uses such negatives."""


def _columns(table: type[RowFields]) -> dict[str, pa.DataType]:
    hints = get_type_hints(table, include_extras=True)
    return {each.name: hints[each.name].__metadata__[0] for each in fields(table)}


ROW_COLUMNS: Mapping[str, pa.DataType] = _columns(RowFields)
"""Columns that the stream carries, by name."""
SAMPLE_COLUMNS: Mapping[str, pa.DataType] = _columns(SampleFields)
"""Columns of a sample except its key and image, by name."""
SAMPLE_SCHEMA = pa.schema([("key", pa.string()), ("image", pa.binary()), *SAMPLE_COLUMNS.items()])
"""Columns of a sample inside Ray: Arrow-native only, so that block sizes are known and nothing is pickled."""

_AS_JSON = {name for name, hint in get_type_hints(SampleFields).items() if get_origin(hint) is dict}


def to_columns(sample: SampleFields) -> dict[str, Any]:
    """Return the values of ``SAMPLE_COLUMNS`` as Arrow and JSON types."""
    return {name: _plain(getattr(sample, name)) for name in SAMPLE_COLUMNS}


def from_columns(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields by name from column values, which may be a subset of ``SAMPLE_COLUMNS``: the reverse of ``to_columns``."""
    return {name: _typed(name, value) for name, value in values.items()}


def field_values(name: str, values: Iterable[Any]) -> list[Any]:
    """Convert the column values of one field of many samples to field values."""
    return [_typed(name, value) for value in values]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, tuple):
        return [each._asdict() if isinstance(each, (Label, Box)) else each for each in value]
    return value


def _typed(name: str, value: Any) -> Any:
    if name in _AS_JSON:
        return parse_object(value) if value else {}
    column = SAMPLE_COLUMNS[name]
    if not pa.types.is_list(column):
        return value
    struct = _STRUCTS.get(column.value_type)
    return tuple(value) if struct is None else tuple(struct(**each) for each in value)


class Dropped(Exception):
    """An item that cannot be used: its image or report is missing or damaged. Counted by reason in the manifest; too many are an error."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class Excluded(Dropped):
    """An item that a rule of the corpus excludes, such as a text that is too short. Counted by reason, never an error."""


def clean_texts(texts: Iterable[str], minimum_words: int = 3) -> tuple[str, ...]:
    """Collapse white space and leave out texts of fewer than ``minimum_words`` words (ARL's preparation).

    Raises:
        Excluded: no text is left.
    """
    cleaned = (_WHITESPACE.sub(" ", text.strip()) for text in texts)
    kept = tuple(text for text in cleaned if count_words(text) >= minimum_words)
    if not kept:
        raise Excluded(f"no text of at least {minimum_words} words")
    return kept


def count_words(text: str) -> int:
    """Return the number of words of a text.

    Chinese and Japanese have no spaces between words: every character counts as a word, as in most tokenizers. In Thai, Lao, Khmer and
    Burmese, four characters count as one.
    """
    return len(text.split()) if text.isascii() or not _UNSPACED.search(text) else len(_WORD.findall(text))
