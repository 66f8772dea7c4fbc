"""Entity-aware masking: whole units within a budget, and knowledge that gives nothing away."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import RobertaTokenizer

from medvlp.data.masking import IGNORED, MaskedText, MaskingConfig, mask_text
from medvlp.data.sample import StreamRow
from medvlp.data.text import EncodedText, EntitySpan, encode_texts
from medvlp.errors import ConfigurationError

MASK, VOCABULARY, MAXIMUM = 4, 400, 24
CONFIGS = st.builds(
    MaskingConfig,
    probability=st.floats(0.05, 1),
    budget=st.sampled_from(["content", "maximum"]),
    whole_words=st.booleans(),
    entity_share=st.sampled_from([0.0, 0.5, 1.0]),
)


@st.composite
def encoded_texts(draw: st.DrawFn) -> EncodedText:
    """Words of one to three tokens; entities cover runs of tokens, not always whole words."""
    lengths = draw(st.lists(st.integers(1, 3), min_size=1, max_size=7))
    words = [word for word, length in enumerate(lengths) for _ in range(length)][: MAXIMUM - 2]
    cuts = sorted(draw(st.sets(st.integers(1, len(words) + 1), max_size=6)))
    entities = [EntitySpan(first, stop, index) for index, (first, stop) in enumerate(zip(cuts[::2], cuts[1::2], strict=False))]
    tokens = draw(st.lists(st.integers(5, VOCABULARY - 1), min_size=len(words), max_size=len(words)))
    return EncodedText([0, *tokens, 2], [None, *words, None], entities)


def mask(text: EncodedText, config: MaskingConfig, seed: int = 0, maximum: int = MAXIMUM) -> MaskedText:
    generator = np.random.default_rng(seed)
    return mask_text(text, config, maximum_tokens=maximum, mask_id=MASK, vocabulary=VOCABULARY, generator=generator)


def plain_text(tokens: int, entities: Sequence[EntitySpan] = ()) -> EncodedText:
    """One word per token."""
    return EncodedText([0, *range(10, 10 + tokens), 2], [None, *range(tokens), None], list(entities))


@settings(max_examples=300)
@given(text=encoded_texts(), config=CONFIGS, seed=st.integers(0, 50))
def test_units_are_masked_whole_and_within_the_budget(text: EncodedText, config: MaskingConfig, seed: int) -> None:
    masked = mask(text, config, seed)
    chosen = set(masked.positions)
    content = len(text.token_ids) - 2
    assert len(chosen) <= max(1, round(config.probability * (MAXIMUM if config.budget == "maximum" else content)))
    assert len(chosen) <= config.slots(MAXIMUM)
    covered: set[int] = set()
    for entity, kept in zip(text.entities, masked.entity_kept, strict=True):
        tokens = set(range(entity.first, entity.stop))
        assert tokens <= chosen or tokens.isdisjoint(chosen)
        assert kept == tokens.isdisjoint(chosen)
        covered |= tokens
    if config.whole_words:
        for word in set(text.word_ids) - {None}:
            tokens = {position for position, its in enumerate(text.word_ids) if its == word} - covered
            assert tokens <= chosen or tokens.isdisjoint(chosen)
    assert masked.in_entity == [position in covered for position in masked.positions]


@settings(max_examples=200)
@given(text=encoded_texts(), config=CONFIGS, seed=st.integers(0, 50))
def test_labels_are_the_tokens_that_stood_there(text: EncodedText, config: MaskingConfig, seed: int) -> None:
    masked = mask(text, config, seed)
    assert masked.positions == sorted(set(masked.positions))
    assert masked.labels == [text.token_ids[position] for position in masked.positions]
    assert all(text.word_ids[position] is not None for position in masked.positions)
    elsewhere = set(range(len(text.token_ids))) - set(masked.positions)
    assert all(masked.token_ids[position] == text.token_ids[position] for position in elsewhere)
    assert all(0 <= token < VOCABULARY for token in masked.token_ids)


@pytest.mark.parametrize(("tokens", "content", "maximum"), [(5, 1, 5), (10, 2, 10), (20, 3, 10), (40, 6, 10)])
def test_the_budget_is_a_share_of_the_text_or_of_the_longest(tokens: int, content: int, maximum: int) -> None:
    # The authors' budget masks every token of a text of up to ten.
    assert len(mask(plain_text(tokens), MaskingConfig(), maximum=64).positions) == content
    assert len(mask(plain_text(tokens), MaskingConfig(budget="maximum"), maximum=64).positions) == maximum


def test_a_unit_beyond_the_budget_is_skipped() -> None:
    text = plain_text(10, [EntitySpan(1, 6, 0)])
    for seed in range(30):
        masked = mask(text, MaskingConfig(entity_share=1.0), seed)
        assert masked.entity_kept == [True]
        assert len(masked.positions) == 2


def test_the_entity_share_draws_entities() -> None:
    text = plain_text(20, [EntitySpan(1, 2, 0), EntitySpan(3, 4, 1)])

    def share(entity_share: float) -> float:
        config = MaskingConfig(probability=0.05, entity_share=entity_share)
        return float(np.mean([mask(text, config, seed).in_entity for seed in range(400)]))

    assert share(1.0) == 1.0
    assert share(0.5) == pytest.approx(0.5, abs=0.08)
    assert share(0.0) == pytest.approx(2 / 20, abs=0.05)


def test_masked_tokens_become_mask_random_or_stay() -> None:
    text = plain_text(20)
    config = MaskingConfig(probability=1.0)
    tokens = np.array([mask(text, config, seed).token_ids[1:-1] for seed in range(300)])
    stayed = (tokens == np.arange(10, 30)).mean()
    assert (tokens == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert stayed == pytest.approx(0.1, abs=0.02)
    assert len(np.unique(tokens[(tokens != MASK) & (tokens != np.arange(10, 30))])) > VOCABULARY / 2


def test_shares_of_more_than_everything_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"keep_mask 0\.8 plus random_token 0\.3 is more than 1"):
        MaskingConfig(keep_mask=0.8, random_token=0.3)


def authors_rules(encoded: EncodedText, positions: set[int], kept: Sequence[bool], budget: int) -> list[str]:
    """What the authors' collator obeys; the names of the rules that are broken."""
    content = {position for position, word in enumerate(encoded.word_ids) if word is not None}
    entities = [set(range(entity.first, entity.stop)) for entity in encoded.entities]
    rules = {
        "special tokens are never masked": positions <= content,
        "the budget holds": len(positions) <= budget,
        "texts within the budget are masked whole": len(content) > budget or positions == content,
        "the budget is used up to one unit": len(positions) > budget - max([len(e) for e in entities] + [1]) or positions == content,
        "entities are masked whole": all(entity <= positions or entity.isdisjoint(positions) for entity in entities),
        "masked entities are withheld": list(kept) == [entity.isdisjoint(positions) for entity in entities],
    }
    return [name for name, holds in rules.items() if not holds]


@pytest.fixture(scope="module")
def reference(shared_reference: Path) -> tuple[dict[str, Any], RobertaTokenizer]:
    """What the authors' collator made of four texts, and its tokenizer."""
    record = json.loads((shared_reference / "parity_collator.json").read_text())
    # Not ``load_tokenizer``: the reference was made without a space before the first word.
    return record, RobertaTokenizer.from_pretrained(shared_reference / "tokenizer_tiny")


@pytest.mark.real_data
def test_parity_of_the_rules_of_masking(reference: tuple[dict[str, Any], RobertaTokenizer]) -> None:
    record, tokenizer = reference
    maximum, slots = record["L"], record["E"]
    config = MaskingConfig(probability=record["p"], budget="maximum", whole_words=False, entity_share=0.0)
    assert config.slots(maximum) == record["budget"]
    for sample in record["samples"]:
        spans = tuple(tuple(span) for span in sample["ents"])
        row = StreamRow(position=0, epoch=0, key="0", shard="s", image=b"", text=sample["text"], spans=spans, image_entities=())
        encoded = encode_texts(tokenizer, [row], maximum)[0]
        length = len(encoded.token_ids)
        assert encoded.token_ids == sample["input_ids"][:length]
        assert set(sample["input_ids"][length:]) <= {tokenizer.pad_token_id}
        assert [entity.entity for entity in encoded.entities] == sample["txt_label"]
        covered = [[slot, token] for slot, entity in enumerate(encoded.entities[:slots]) for token in range(entity.first, entity.stop)]
        assert covered == sample["pos"]
        theirs = {position for position, label in enumerate(sample["labels_mlm"]) if label != IGNORED}
        withheld = [entity.entity for entity in encoded.entities if not theirs.isdisjoint(range(entity.first, entity.stop))]
        kept = [entity.entity for entity in encoded.entities if entity.entity not in withheld][:slots]
        assert kept == [entity for entity in sample["ent_ids_mlm"] if entity != IGNORED]
        assert authors_rules(encoded, theirs, [entity.entity not in withheld for entity in encoded.entities], record["budget"]) == []
        for seed in range(50):
            ours = mask(encoded, config, seed, maximum)
            assert authors_rules(encoded, set(ours.positions), ours.entity_kept, record["budget"]) == []
