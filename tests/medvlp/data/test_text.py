"""Texts: which entities survive, and the tokens they cover."""

from hypothesis import given, settings
from hypothesis import strategies as st

from medvlp.data.sample import StreamRow
from medvlp.data.text import EncodedText, EntitySpan, TextConfig, encode_texts, padded_width
from tests.medvlp.tiny import tokenizer


def encode(text: str, spans: tuple[tuple[int, int, int], ...], maximum_tokens: int = 64) -> EncodedText:
    row = StreamRow(position=0, epoch=0, key="0", shard="s", image=b"", text=text, spans=spans, image_entities=())
    return encode_texts(tokenizer(), [row], maximum_tokens)[0]


def covered_text(encoded: EncodedText, span: EntitySpan) -> str:
    return tokenizer().decode(encoded.token_ids[span.first : span.stop]).strip()


def test_entities_cover_their_tokens() -> None:
    text = "there is a left effusion and a pneumothorax"
    encoded = encode(text, ((16, 24, 5), (31, 43, 7)))
    assert [covered_text(encoded, span) for span in encoded.entities] == ["effusion", "pneumothorax"]
    assert [span.entity for span in encoded.entities] == [5, 7]


def test_a_character_of_several_tokens_belongs_to_the_entity_whole() -> None:
    text = "a café in the image"
    encoded = encode(text, ((2, 6, 3),))
    assert covered_text(encoded, encoded.entities[0]) == "café"
    assert encoded.entities[0].stop - encoded.entities[0].first >= 2


def test_an_entity_survives_truncation_only_with_both_its_ends() -> None:
    text = "there is a left effusion and a pneumothorax in the image"
    spans = ((16, 24, 5), (31, 43, 7))
    whole = encode(text, spans)
    stop = whole.entities[1].stop
    # One more token is the closing special one.
    assert [span.entity for span in encode(text, spans, stop + 1).entities] == [5, 7]
    assert [span.entity for span in encode(text, spans, stop).entities] == [5]
    assert encode(text, spans, whole.entities[0].first).entities == []


def test_of_two_entities_in_one_token_the_earlier_stays() -> None:
    # Characters do not overlap, tokens do: "effusion" is one token.
    encoded = encode("left effusion", ((5, 8, 1), (8, 13, 2)))
    assert [span.entity for span in encoded.entities] == [1]


def test_special_tokens_are_of_no_word() -> None:
    encoded = encode("left effusion", ())
    assert [word is None for word in encoded.word_ids] == [True, False, False, True]


@settings(deadline=None, max_examples=150)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), data=st.data(), maximum_tokens=st.integers(4, 70))
def test_spans_hold_all_and_only_what_they_name(text: str, data: st.DataObject, maximum_tokens: int) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = tuple((start, end, index) for index, (start, end) in enumerate(zip(cuts[::2], cuts[1::2], strict=False)))
    encoded = encode(text, spans, maximum_tokens)
    offsets = tokenizer()(text, truncation=True, max_length=maximum_tokens, return_offsets_mapping=True)["offset_mapping"]
    assert len(encoded.token_ids) <= maximum_tokens
    previous = 0
    for span in encoded.entities:
        start, end, _ = spans[span.entity]
        assert previous <= span.first < span.stop
        assert all(encoded.word_ids[token] is not None for token in range(span.first, span.stop))
        overlapping = [token for token, (a, b) in enumerate(offsets) if a < b and a < end and b > start]
        # A space can be a token of no characters; between two others it belongs to their span.
        assert set(overlapping) == {token for token in range(span.first, span.stop) if offsets[token][0] < offsets[token][1]}
        previous = span.stop


def test_widths_are_multiples_within_the_maximum() -> None:
    config = TextConfig(maximum_tokens=50, width_multiple=16)
    assert [padded_width(longest, config) for longest in (1, 16, 17, 48, 49, 50)] == [16, 16, 32, 48, 50, 50]


def test_a_text_means_the_same_in_any_company() -> None:
    rows = [
        StreamRow(position=0, epoch=0, key="0", shard="s", image=b"", text=text, spans=((5, 13, 1),), image_entities=())
        for text in ("left effusion", "tiny effusion in the image", "huge effusion")
    ]
    together = encode_texts(tokenizer(), rows, 20)
    assert together == [encode_texts(tokenizer(), [row], 20)[0] for row in rows]
