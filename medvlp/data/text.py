"""Tokenize texts and find the tokens that each entity covers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from medvlp.data.sample import StreamRow
from medvlp.values import Checked, Count, Range

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase  # takes seconds, and drivers import this module for ``TextConfig``

SPECIAL_TOKENS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
MINIMUM_VOCABULARY = len(SPECIAL_TOKENS) + 256
"""Tokens of a byte-level tokenizer without any merged ones."""

TokenCount = Annotated[int, Range(at_least=3)]
"""Maximum number of tokens of a text: its two special ones, and one of its own."""


@dataclass(frozen=True, kw_only=True)
class TextConfig(Checked):
    """The limits of a text."""

    maximum_tokens: TokenCount = 64
    """Maximum number of tokens; longer texts are truncated (ARL: 64)."""
    maximum_entities: Count = 24
    """Maximum number of entities per text in the knowledge stream, in text order (ARL: 24)."""
    width_multiple: Count = 16
    """Pad texts to a multiple of this many tokens, at most ``maximum_tokens``, so that few different widths occur."""


@dataclass(frozen=True, slots=True)
class EntitySpan:
    """Tokens ``[first, stop)`` name the entity ``entity``."""

    first: int
    stop: int
    entity: int


@dataclass(frozen=True, slots=True)
class EncodedText:
    """One text as token ids, with its special tokens, not padded."""

    token_ids: list[int]
    word_ids: list[int | None]
    """Word of each token, None for special tokens."""
    entities: list[EntitySpan]
    """The entities that survived truncation, in text order."""


def encode_texts(tokenizer: "PreTrainedTokenizerBase", rows: Sequence[StreamRow], maximum_tokens: int) -> list[EncodedText]:
    """Tokenize the texts of ``rows`` and find the tokens of their entities.

    An entity survives truncation if both its first and its last character do (ARL ``record_ent_ref``).
    """
    encoding = tokenizer([row.text for row in rows], truncation=True, max_length=maximum_tokens, padding=False)
    encoded = []
    for index, row in enumerate(rows):
        entities = []
        for start, end, entity in row.spans:
            first, last = encoding.char_to_token(index, start), encoding.char_to_token(index, end - 1)
            if first is not None and last is not None:
                entities.append(EntitySpan(first, _stop(encoding[index].offsets, last, end), entity))
        encoded.append(EncodedText(encoding["input_ids"][index], encoding.word_ids(index), _without_overlap(entities)))
    return encoded


def _stop(offsets: Sequence[tuple[int, int]], last: int, end: int) -> int:
    """Return the token after those that end at character ``end``: a byte-level token can be a part of the last character."""
    stop = last + 1
    while stop < len(offsets) and offsets[stop][0] < min(end, offsets[stop][1]):
        stop += 1
    return stop


def _without_overlap(entities: list[EntitySpan]) -> list[EntitySpan]:
    """Remove overlaps: spans that share no character can still share a token; the earlier one keeps it."""
    kept: list[EntitySpan] = []
    for span in entities:
        if not kept or span.first >= kept[-1].stop:
            kept.append(span)
    return kept


def padded_width(longest: int, config: TextConfig) -> int:
    """Return the padded width of texts of at most ``longest`` tokens."""
    rounded = -(-longest // config.width_multiple) * config.width_multiple
    return min(rounded, config.maximum_tokens)
