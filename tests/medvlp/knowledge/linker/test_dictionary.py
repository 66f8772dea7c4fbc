"""The dictionary linker: every stated rule, and offsets that hold in any text."""

import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.dictionary import DictionaryLinker, Linker, Span, leftmost_longest
from medvlp.knowledge.linker.folding import fold
from medvlp.knowledge.ontology import Concept, Ontology
from medvlp.knowledge.readers.registry import read_ontology

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


def ontology_of(names: dict[str, tuple[str, ...]]) -> Ontology:
    return Ontology.build("test", [Concept(identifier, first, tuple(rest)) for identifier, (first, *rest) in names.items()], [])


def linker_of(names: dict[str, tuple[str, ...]]) -> DictionaryLinker:
    return DictionaryLinker.build(ontology_of(names))


LINKER = linker_of(NAMES)


def found(text: str, linker: Linker = LINKER) -> list[tuple[str, str]]:
    """Surface and concept of the spans without overlap."""
    return [(text[span.start : span.end], span.concept) for span in leftmost_longest(linker.link(text))]


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


def test_hyphens_are_spaces_and_quotes_are_quotes() -> None:
    linker = linker_of({"C1": ("x ray",), "C2": ("well-differentiated liposarcoma",), "C3": ("Crohn's disease",)})
    assert [concept for _, concept in found("X-ray, well differentiated liposarcoma, Crohn’s disease", linker)] == ["C1", "C2", "C3"]


@pytest.mark.parametrize("text", ["head of femur", "head of the femur", "femur head", "Femoral heads", "caput femoris", "caput-femoris"])
def test_other_orders_of_a_name(text: str) -> None:
    linker = linker_of({"C1": ("head of femur", "femoral head", "caput femoris [FMA]")})
    assert found(text, linker) == [(text, "C1")]


def test_a_qualifier_that_tells_two_concepts_apart_stays() -> None:
    linker = linker_of({"C1": ("septum (telencephalon)",), "C2": ("optic nerve [II]",)})
    assert found("septum, optic nerve", linker) == [("optic nerve", "C2")]


def test_leftmost_longest_wins() -> None:
    assert found("a lung cancer of lung") == [("lung cancer", "C2"), ("lung", "C1")]
    assert leftmost_longest([Span(2, 9, "b"), Span(0, 3, "a"), Span(0, 1, "c"), Span(9, 10, "d")]) == [Span(0, 3, "a"), Span(9, 10, "d")]


def test_mentions_inside_of_others_are_kept() -> None:
    assert LINKER.link("lung cancer") == [Span(0, 4, "C1"), Span(0, 11, "C2")]


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


def test_a_name_as_written_beats_a_variant_made_here() -> None:
    assert found("hearts", linker_of({"C2": ("cor", "hearts"), "C1": ("heart",)})) == [("hearts", "C2")]


def test_too_short_names_are_not_looked_for() -> None:
    assert found("a 12 e", linker_of({"C1": ("lung", "e", "12")})) == []
    with pytest.raises(KnowledgeError, match="no name"):
        linker_of({"C1": ("e",)})


def test_an_abbreviation_that_the_text_defines_is_what_it_says() -> None:
    text = "PE after lung cancer (LCA). ALL: LCA, LCAs, LCAX and the anterior longitudinal ligament (ALL)"
    assert found(text) == [("lung cancer", "C2"), ("LCA", "C2"), ("LCA", "C2"), ("LCAs", "C2")]
    assert found("left circumflex (LC), lung, LC") == [("lung", "C1")]  # not the LC of the ontology


def test_what_the_text_denies_is_flagged() -> None:
    text = "No lung cancer, but a mass; biopsies were not seen"
    flags = {text[span.start : span.end]: span.negated for span in LINKER.link(text)}
    # The lung itself is not denied.
    assert flags == {"lung": False, "lung cancer": True, "mass": False, "biopsies": True}


def test_an_adjective_is_not_denied_with_its_noun() -> None:
    linker = linker_of({"C1": ("kidney", "renal"), "C2": ("edema",)})
    text = "no renal oedema, no kidney"
    assert linker.link(text) == [Span(3, 8, "C1"), Span(9, 15, "C2", True), Span(20, 26, "C1", True)]


def test_implied_names_are_found_and_can_be_left_out() -> None:
    ontology = ontology_of({"C1": ("maxilla",), "C2": ("maxillary sinus",)})
    text = "maxillary cyst"
    assert DictionaryLinker.build(ontology).link(text) == [Span(0, 9, "C1")]
    assert DictionaryLinker.build(ontology, derive=False).link(text) == []


def test_letters_that_change_length_when_lower_cased() -> None:
    assert found("İ İris, lung") == [("İris", "C9"), ("lung", "C1")]
    assert found("οδοντοσ ΟΔΟΝΤΟΣ") == [("οδοντοσ", "C9"), ("ΟΔΟΝΤΟΣ", "C9")]


PIECES = st.one_of(
    st.text(max_size=4), st.sampled_from([" ", "-", "İ", "s", "no ", "(", ")", *(name for names in NAMES.values() for name in names)])
)


@given(st.lists(PIECES, max_size=12))
def test_spans_are_names_in_order(pieces: list[str]) -> None:
    text = "".join(pieces)
    known = {fold(name): concept for concept, names in NAMES.items() for name in names}
    spans = LINKER.link(text)
    assert spans == sorted(spans)
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)
        surface = text[span.start : span.end]
        if fold(surface) in known and "(" not in text:
            assert known[fold(surface)] == span.concept
    free = 0
    for span in leftmost_longest(spans):
        assert free <= span.start
        free = span.end


@given(st.text(max_size=20), st.sampled_from([(names[0], concept) for concept, names in NAMES.items()]), st.text(max_size=20))
def test_a_name_between_spaces_is_always_found(before: str, mention: tuple[str, str], after: str) -> None:
    name, concept = mention
    text = f"{before} {name} {after}"
    start = len(before) + 1
    assert (start, start + len(name), concept) in {(span.start, span.end, span.concept) for span in LINKER.link(text)}


def test_pickled_linker_links_the_same_and_travels_light() -> None:
    travelling = pickle.dumps(LINKER)
    copy = pickle.loads(travelling)
    assert copy.link("ALL lung cancers") == LINKER.link("ALL lung cancers") != []
    assert (copy.name, copy.version) == ("dictionary", "dictionary-3")
    assert len(travelling) < 5_000


@pytest.mark.real_data
def test_real_captions_are_linked_as_their_annotators_do(shared_data: Path) -> None:
    folder = shared_data / "roco_annotations" / "validation" / "radiology"
    ontology = read_ontology(shared_data / "kg" / "cui_kg")
    linker, known = DictionaryLinker.build(ontology), {concept.id for concept in ontology.concepts}
    hits = found_there = annotated = 0
    captions, concepts = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("captions.txt", "cuis.txt"))
    for caption, row in zip(captions[::4], concepts[::4], strict=True):
        expected = known.intersection(row.split("\t")[1:])
        predicted = {span.concept for span in linker.link(caption.partition("\t")[2])}
        hits, found_there, annotated = hits + len(expected & predicted), found_there + len(predicted), annotated + len(expected)
    assert hits / annotated > 0.60
    assert hits / found_there > 0.48


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Crohn\u2019s disease of the ileum", "Crohn\u2019s disease"),
        ("Crohns disease of the ileum", "Crohns disease"),
        ("Pulmonary \ufb01brosis.", "\ufb01brosis"),
        ("Me\u0301nie\u0300re disease on the left", "Me\u0301nie\u0300re disease"),
        ("Meniere disease", "Meniere disease"),
        ("\u03b2-thalassemia minor", "\u03b2-thalassemia"),
        ("beta-thalassemia minor", "beta-thalassemia"),
        ("pneu\u00admonia", "pneu\u00admonia"),
        ("treated with As for years", "As"),
        ("Seen in the lung as before. As before, he is well. In the lung. He is well.", None),
        ("SEEN ALL DAY", None),
        ("a child with ALL", "ALL"),
    ],
)
def test_spellings_of_real_texts(text: str, found: str | None) -> None:
    names = {
        "Crohn disease": (),
        "fibrosis": (),
        "M\u00e9ni\u00e8re disease": (),
        "beta thalassemia": (),
        "pneumonia": (),
        "arsenic": ("As",),
        "indium": ("In",),
        "helium": ("He",),
        "leukemia": ("ALL",),
    }
    linker = DictionaryLinker.build(Ontology.build("real", [Concept(name, name, synonyms) for name, synonyms in names.items()], []))
    assert [text[span.start : span.end] for span in linker.link(text)] == ([found] if found else [])
