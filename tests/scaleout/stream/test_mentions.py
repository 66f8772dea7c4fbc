"""Mentions: the same spans and entities as one finds text by text with objects."""

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from medvlp.knowledge.linker.dictionary import Span, leftmost_longest
from scaleout.links.reader import LINKS_SCHEMA
from scaleout.stream.mentions import Mentions

ENTITY_IDS = {"a": 7, "b": 0, "c": 3}
SPANS = st.builds(
    lambda start, length, concept, negated: Span(start, start + length, concept, negated),
    st.integers(0, 12),
    st.integers(1, 5),
    st.sampled_from(["a", "b", "c", "not in the vocabulary"]),
    st.booleans(),
)
SAMPLES = st.lists(st.lists(st.lists(SPANS, max_size=5), min_size=1, max_size=3), min_size=1, max_size=5)
"""Spans by sample and text."""


def links_of(samples: list[list[list[Span]]]) -> pa.Table:
    rows = [
        {
            "key": str(key),
            "text": index,
            **{name: [getattr(span, name) for span in spans] for name in ("start", "end", "concept", "negated")},
        }
        for key, texts in enumerate(samples)
        for index, spans in enumerate(texts)
    ]
    return pa.Table.from_pylist(rows, schema=LINKS_SCHEMA)


@given(samples=SAMPLES, data=st.data(), label_negated=st.booleans())
def test_they_equal_those_found_text_by_text(samples: list[list[list[Span]]], data: st.DataObject, label_negated: bool) -> None:
    chosen = data.draw(st.permutations(range(len(samples))).map(lambda order: order[: data.draw(st.integers(1, len(samples)))]))
    captions = [data.draw(st.integers(0, len(samples[sample]) - 1)) for sample in chosen]
    counts = [len(texts) for texts in samples]
    first = np.cumsum(counts) - counts
    links = links_of(samples)
    # As links of several shards come: in pieces.
    cut = data.draw(st.integers(0, links.num_rows))
    mentions = Mentions.of(pa.concat_tables([links.slice(0, cut), links.slice(cut)]), ENTITY_IDS)

    starts, ends, entities = mentions.spans(first[chosen] + captions)
    known = [
        [span for span in samples[sample][caption] if span.concept in ENTITY_IDS] for sample, caption in zip(chosen, captions, strict=True)
    ]
    expected = [leftmost_longest(spans) for spans in known]
    assert starts.to_pylist() == [[span.start for span in spans] for spans in expected]
    assert ends.to_pylist() == [[span.end for span in spans] for spans in expected]
    assert entities.to_pylist() == [[ENTITY_IDS[span.concept] for span in spans] for spans in expected]

    found = mentions.entities_of(np.array(chosen), np.repeat(np.arange(len(samples)), counts), label_negated=label_negated)
    mentioned = [[span for text in samples[sample] for span in text if label_negated or not span.negated] for sample in chosen]
    assert found.to_pylist() == [sorted({ENTITY_IDS[span.concept] for span in spans if span.concept in ENTITY_IDS}) for spans in mentioned]


def test_an_empty_vocabulary_mentions_nothing() -> None:
    mentions = Mentions.of(links_of([[[Span(0, 1, "a")]]]), {})
    assert [part.to_pylist() for part in mentions.spans(np.array([0]))] == [[[]], [[]], [[]]]
    assert mentions.entities_of(np.array([0]), np.array([0]), label_negated=True).to_pylist() == [[]]
