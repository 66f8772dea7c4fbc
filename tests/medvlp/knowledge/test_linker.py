"""The dictionary linker: every stated rule, and offsets that hold in any text."""

import pickle
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker import DictionaryLinker, Linker, Span, leftmost_longest, lower
from medvlp.knowledge.ontology import Concept, Ontology
from medvlp.knowledge.readers import read_ontology

DATA = Path(__file__).parents[3].parent / "shared" / "data"
CAPTIONS = DATA / "roco_annotations" / "validation" / "radiology" / "captions.txt"

NAMES = {
    "C1": ("lung", "pulmo"),
    "C2": ("lung cancer", "LC"),
    "C3": ("cancer of lung",),
    "C4": ("acute lymphoid leukemia", "ALL"),
    "C5": ("biopsy",),
    "C6": ("mass",),
    "C7": ("nerve [VI]",),
    "C8": ("x ray",),
    "C9": ("Ménière", "İris", "ΟΔΟΝΤΟΣ"),
}


def linker_of(names: dict[str, tuple[str, ...]]) -> DictionaryLinker:
    concepts = [Concept(identifier, first, tuple(rest)) for identifier, (first, *rest) in names.items()]
    return DictionaryLinker.build(Ontology.build("test", concepts, []))


LINKER = linker_of(NAMES)


def found(text: str, linker: Linker = LINKER) -> list[tuple[str, str]]:
    return [(text[span.start : span.end], span.concept) for span in linker.link(text)]


def test_names_and_synonyms_in_any_letter_case() -> None:
    assert found("Lung, PULMO and a MÉNIÈRE") == [("Lung", "C1"), ("PULMO", "C1"), ("MÉNIÈRE", "C9")]
    assert found("") == found("nothing here") == []


def test_matches_stop_at_word_boundaries() -> None:
    assert found("lungfish, plung, lung2, mulung") == []
    assert found("(lung) lung-based lung. lung") == [("lung", "C1")] * 4
    assert found("nerve [VI]x") == [("nerve [VI]", "C7")]


def test_abbreviations_keep_their_letter_case() -> None:
    assert found("all lc All") == []
    assert found("ALL or LC") == [("ALL", "C4"), ("LC", "C2")]
    assert found("two LCs") == [("LCs", "C2")]


def test_an_abbreviation_as_written_beats_the_same_letters_as_a_word() -> None:
    linker = linker_of({"C1": ("AIDS",), "C2": ("aids",)})
    assert found("AIDS aids Aids", linker) == [("AIDS", "C1"), ("aids", "C2"), ("Aids", "C2")]


def test_plurals() -> None:
    assert found("lungs biopsies masses x rays") == [("lungs", "C1"), ("biopsies", "C5"), ("masses", "C6"), ("x rays", "C8")]


def test_leftmost_longest_wins() -> None:
    assert found("a lung cancer of lung") == [("lung cancer", "C2"), ("lung", "C1")]
    assert leftmost_longest([Span(2, 9, "b"), Span(0, 3, "a"), Span(0, 1, "c"), Span(9, 10, "d")]) == [Span(0, 3, "a"), Span(9, 10, "d")]


def test_nested_matches_are_candidates() -> None:
    spans = sorted(LINKER.candidates("lung cancer"))
    assert spans == [Span(0, 4, "C1"), Span(0, 11, "C2")]


@pytest.mark.parametrize(
    ("names", "winner"),
    [
        ({"C2": ("heart",), "C1": ("cor", "heart")}, "C2"),  # preferred name beats synonym
        ({"C2": ("heart",), "C1": ("Heart",)}, "C1"),  # then the smallest identifier
        ({"C2": ("cor", "hearts"), "C1": ("heart",)}, "C1"),
    ],
)
def test_ambiguity(names: dict[str, tuple[str, ...]], winner: str) -> None:
    assert found("heart", linker_of(names)) == [("heart", winner)]


def test_a_name_as_written_beats_a_plural_made_here() -> None:
    assert found("hearts", linker_of({"C2": ("cor", "hearts"), "C1": ("heart",)})) == [("hearts", "C2")]


def test_too_short_names_are_not_looked_for() -> None:
    assert found("a 12 e", linker_of({"C1": ("lung", "e", "12")})) == []
    with pytest.raises(KnowledgeError, match="no name"):
        linker_of({"C1": ("e",)})


def test_letters_that_change_length_when_lower_cased() -> None:
    assert found("İ İris, lung") == [("İris", "C9"), ("lung", "C1")]
    assert found("οδοντοσ ΟΔΟΝΤΟΣ") == [("οδοντοσ", "C9"), ("ΟΔΟΝΤΟΣ", "C9")]


@given(st.text())
def test_lower_casing_keeps_every_offset(text: str) -> None:
    lowered = lower(text)
    assert len(lowered) == len(text)
    assert all(new in (old, old.lower()) for old, new in zip(text, lowered, strict=True))
    assert lower(lowered) == lowered


PIECES = st.one_of(st.text(max_size=4), st.sampled_from([" ", "-", "İ", "s", *(name for names in NAMES.values() for name in names)]))


@given(st.lists(PIECES, max_size=12))
def test_spans_are_names_in_order_without_overlap(pieces: list[str]) -> None:
    text = "".join(pieces)
    singular = {lower(name): concept for concept, names in NAMES.items() for name in names}
    plural = {"biopsies": "C5", "masses": "C6", **{name + "s": concept for name, concept in singular.items()}}
    free = 0
    for span in LINKER.link(text):
        assert free <= span.start < span.end <= len(text)
        assert {**plural, **singular}[lower(text[span.start : span.end])] == span.concept
        free = span.end


@given(st.text(max_size=20), st.sampled_from([(names[0], concept) for concept, names in NAMES.items()]), st.text(max_size=20))
def test_a_name_between_spaces_is_always_covered(before: str, mention: tuple[str, str], after: str) -> None:
    name, concept = mention
    text = f"{before} {name} {after}"
    start = len(before) + 1
    assert Span(start, start + len(name), concept) in list(LINKER.candidates(text))
    assert any(span.start <= start and span.end >= start + len(name) for span in LINKER.link(text))


def test_pickled_linker_links_the_same() -> None:
    copy = pickle.loads(pickle.dumps(LINKER))
    assert copy.link("ALL lung cancers") == LINKER.link("ALL lung cancers") != []
    assert (copy.name, copy.version) == ("dictionary", "dictionary-1")


@pytest.mark.real_data
@pytest.mark.skipif(not CAPTIONS.exists(), reason=f"no real captions in {DATA}")
def test_real_captions_are_linked_fast() -> None:
    linker = DictionaryLinker.build(read_ontology(DATA / "kg" / "cui_kg"))
    captions = [line.partition("\t")[2].strip() for line in CAPTIONS.read_text().splitlines()]
    begin = time.process_time()
    mentions = sum(len(linker.link(caption)) for caption in captions)
    rate = len(captions) / (time.process_time() - begin)
    assert mentions > 8_000
    assert rate > 10_000, f"{rate:.0f} captions/s"
