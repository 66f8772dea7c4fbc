"""Entity-aware masking for masked language modelling (ARL §3.3 "learn with knowledge"; spec of the authors' collator).

Units are masked as a whole: an entity with all its tokens, a word with all its tokens. Entities that lose a token are hidden from the
knowledge stream, because their embedding would reveal the answer.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from medvlp.data.text import EncodedText
from medvlp.errors import ConfigurationError
from medvlp.values import Checked, PositiveShare, Share

IGNORED = -100


@dataclass(frozen=True, kw_only=True)
class MaskingConfig(Checked):
    """Which tokens to mask, and how."""

    probability: PositiveShare = 0.15
    """Fraction of tokens to mask."""
    budget: Literal["content", "maximum"] = "content"
    """Base of the fraction: the text's own tokens, or ``maximum_tokens`` as in the authors' code, which masks short texts completely."""
    whole_words: bool = True
    """Mask all tokens of a word together; the authors' code does this for entities only."""
    entity_share: Share = 0.5
    """Probability of drawing a unit from the entities while both kinds are left; 0 treats all units alike, as the authors do."""
    keep_mask: Share = 0.8
    """Fraction of masked tokens that become the mask token."""
    random_token: Share = 0.1
    """Fraction that become a random token; the others are unchanged."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep_mask + self.random_token > 1:
            raise ConfigurationError(f"masking: keep_mask {self.keep_mask} plus random_token {self.random_token} is more than 1: lower one")

    def slots(self, maximum_tokens: int) -> int:
        """Return the maximum number of masked tokens of one text."""
        return max(1, round(self.probability * maximum_tokens))


@dataclass(frozen=True, slots=True)
class MaskedText:
    """A text after masking. All position lists are ascending."""

    token_ids: list[int]
    positions: list[int]
    """Positions of the tokens to predict."""
    labels: list[int]
    """Their original ids."""
    in_entity: list[bool]
    """Whether the token belongs to an entity."""
    entity_kept: list[bool]
    """For each entity of the text, whether it has no token to predict."""


def mask_text(
    text: EncodedText, config: MaskingConfig, *, maximum_tokens: int, mask_id: int, vocabulary: int, generator: np.random.Generator
) -> MaskedText:
    """Mask ``text`` within its budget; a unit that would exceed it is skipped."""
    counted = maximum_tokens if config.budget == "maximum" else sum(word is not None for word in text.word_ids)
    budget = max(1, round(config.probability * counted))
    chosen: set[int] = set()
    for unit in _drawn_order(text, config, generator):
        if len(chosen) + len(unit) <= budget:
            chosen.update(unit)
        if len(chosen) == budget:
            break
    positions = sorted(chosen)
    token_ids = list(text.token_ids)
    for position, draw in zip(positions, generator.random(len(positions)), strict=True):
        if draw < config.keep_mask:
            token_ids[position] = mask_id
        elif draw < config.keep_mask + config.random_token:
            token_ids[position] = int(generator.integers(vocabulary))
    covered = {position for entity in text.entities for position in range(entity.first, entity.stop)}
    return MaskedText(
        token_ids=token_ids,
        positions=positions,
        labels=[text.token_ids[position] for position in positions],
        in_entity=[position in covered for position in positions],
        entity_kept=[chosen.isdisjoint(range(entity.first, entity.stop)) for entity in text.entities],
    )


def _drawn_order(text: EncodedText, config: MaskingConfig, generator: np.random.Generator) -> list[list[int]]:
    """Return all units of the text in the order in which to try them."""
    entities, others = _units(text, config.whole_words)
    if config.entity_share == 0:
        units = entities + others
        return [units[index] for index in generator.permutation(len(units))]
    entities = [entities[index] for index in generator.permutation(len(entities))]
    others = [others[index] for index in generator.permutation(len(others))]
    order = []
    while entities and others:
        order.append((entities if generator.random() < config.entity_share else others).pop())
    return order + entities + others


def _units(text: EncodedText, whole_words: bool) -> tuple[list[list[int]], list[list[int]]]:
    """Return groups of token positions to mask together: those of entities, and those of the other words or tokens."""
    entities = [list(range(entity.first, entity.stop)) for entity in text.entities]
    covered = {position for unit in entities for position in unit}
    words: dict[int, list[int]] = {}
    for position, word in enumerate(text.word_ids):
        if word is not None and position not in covered:
            words.setdefault(word if whole_words else position, []).append(position)
    return entities, list(words.values())
