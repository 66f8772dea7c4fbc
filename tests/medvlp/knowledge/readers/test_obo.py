"""OBO files: what becomes of every kind of line, and that a bad one costs no more than itself."""

import re
from collections import Counter
from pathlib import Path

import pronto
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medvlp.corpora.phantom import phantom_ontology_path
from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.obo import read_obo
from medvlp.knowledge.readers.registry import read_ontology

OBO = """\
format-version: 1.2
ontology: small
default-namespace: findings
import: http://example.invalid/never-fetched.obo

[Term]
id: F:1
name: pleural  effusion
def: "Sloppy" [JA:Not A Valid Reference, url:http\\://example.org]
synonym: "hydrothorax" EXACT [JA:Not A Valid Reference]
synonym: "water in the chest" RELATED []
synonym: "plain \\"quoted\\"" []
xref: http://example.org/File\\:sloppy.png
is_a: F:2 ! finding
relationship: located_in A:9 {source="a book"} ! pleural cavity
relationship: part_of X:404

[Term]
id: F:2
name: finding

[Term]
id: A:9
name: pleural cavity
namespace: anatomy

[Term]
id: F:3
name: old
is_obsolete: true
is_a: F:2
"""


def test_obo_becomes_concepts_and_triples(tmp_path: Path) -> None:
    path = tmp_path / "small.obo"
    path.write_text(OBO)
    ontology = read_ontology(path)
    assert ontology.name == "small"
    assert ontology.concepts == (
        Concept("A:9", "pleural cavity", (), "anatomy"),
        Concept("F:1", "pleural effusion", ("hydrothorax",), "findings"),
        Concept("F:2", "finding", (), "findings"),
    )
    assert ontology.triples == (Triple("F:1", "is_a", "F:2"), Triple("F:1", "located_in", "A:9"))


def test_related_synonyms_are_an_option(tmp_path: Path) -> None:
    path = tmp_path / "small.obo"
    path.write_text(OBO)
    (effusion,) = [concept for concept in read_ontology(path, related_synonyms=True).concepts if concept.id == "F:1"]
    assert set(effusion.synonyms) == {"hydrothorax", "water in the chest", 'plain "quoted"'}


def test_obo_with_a_term_that_is_itself_and_no_namespace(tmp_path: Path) -> None:
    path = tmp_path / "self.obo"
    path.write_text("format-version: 1.2\n\n[Term]\nid: A:1\nname: Ménière\nis_a: A:2\n\n[Term]\nid: A:2\nname: b\nis_a: A:2\n")
    ontology = read_ontology(path)
    assert [concept.semantic_type for concept in ontology.concepts] == ["A", "A"]
    assert ontology.concepts[0].name == "Ménière"
    assert ontology.triples == (Triple("A:1", "is_a", "A:2"),)


def test_a_cycle_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    terms = ("id: A:1\nis_a: A:2", "id: A:2\nis_a: A:3", "id: A:3\nis_a: A:9", "id: A:4\nis_a: A:1\nalt_id: A:8")
    ontology = read(tmp_path, "".join(f"[Term]\n{term}\nname: x\n" for term in (*terms, "id: A:5\nalt_id: A:9\nis_a: A:1")))
    assert len(ontology.triples) == 5
    assert re.search(r"cycles of is_a, kept \(A:\d is_a A:\d is_a A:\d is_a A:\d is_a A:\d\): 1 \(line \d+\)", caplog.text)


def read(tmp_path: Path, text: str) -> Ontology:
    path = tmp_path / "small.obo"
    path.write_text(text)
    return read_obo(path)


HEART = """
[Term]
id: F:7
name: heart
is_a: F:8 ! organ

[Term]
id: F:8
name: organ
"""
ALONE = (Concept("F:7", "heart", (), "F"), Concept("F:8", "organ", (), "F"))


@pytest.mark.parametrize(
    "line",
    [
        "name: H-[2)-{alpha-D-Gal}(1] residue",
        "namespace: some name spaces",
        "is_obsolete: False",
        "is_obsolete:true",
        "xref: ICD 10:Q20 with \\, and {braces",
        "creation_date: yesterday",
        'def: "not closed',
        "unheard_of: 12",
        "relationship: part_of",
        "synonym: no quotation marks EXACT []",
        "intersection_of:",
        "no tag at all",
        "is_a: F:404 ! nowhere",
    ],
)
@pytest.mark.parametrize("header", ["", "ontology: x\nformat-version: 1.2\n", "default-namespace: F\n", "format-version: 9\nidspace: a\n"])
def test_no_line_costs_another_term(tmp_path: Path, line: str, header: str) -> None:
    ontology = read(tmp_path, f"{header}\n[Term]\nid: F:1\nname: kidney\n{line}\n{HEART}")
    assert ontology.concepts[-2:] == ALONE
    assert ontology.triples == (Triple("F:7", "is_a", "F:8"),)
    assert len(ontology.concepts) == (2 if line == "is_obsolete:true" else 3)


@given(st.data())
def test_an_altered_file_keeps_its_other_terms(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    lines = OBO.splitlines()
    number = data.draw(st.integers(0, len(lines) - 1))
    lines[number] = data.draw(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from(' []{}!":\\'), max_size=30))
    ontology = read(tmp_path_factory.mktemp("altered"), "\n".join(lines) + "\n" + HEART)
    assert set(ALONE) <= {Concept(each.id, each.name, each.synonyms, "F") for each in ontology.concepts}


def test_names_keep_braces_and_lose_comments_and_qualifiers(tmp_path: Path) -> None:
    names = ["a {b} c", 'lung {source="a book", n="2"}', "left lung ! a comment", 'both {x="y"} ! z', "wow! really", r"a\!b \{c\} d\:e"]
    ontology = read(tmp_path, "".join(f"[Term]\nid: F:{index}\nname: {name}\n" for index, name in enumerate(names)))
    assert [concept.name for concept in ontology.concepts] == ["a {b} c", "lung", "left lung", "both", "wow! really", "a!b {c} d:e"]


@pytest.mark.parametrize(
    "reference",
    ["is_a: F:9", "is_a:   F:9   ! old", "is_a:F:9", 'is_a: F:9 {source="x"}', "is_a: F:9 organ", "is_a: F:5", "is_a: F:6", "is_a: F:8!"],
)
def test_references_lead_to_the_current_term(tmp_path: Path, reference: str) -> None:
    merged = "[Term]\nid: F:8\nname: organ\nalt_id: F:9\n\n"
    replaced = "[Term]\nid: F:5\nis_obsolete: true\nreplaced_by: F:9\n\n[Term]\nid: F:6\nis_obsolete: TRUE\nreplaced_by: F:5 ! x\n\n"
    ontology = read(tmp_path, f"{merged}{replaced}[Term]\nid:  F:7\nname:\theart\n{reference}\n")
    assert ontology.concepts == ALONE
    assert ontology.triples == (Triple("F:7", "is_a", "F:8"),)


def test_a_former_identifier_of_two_terms_leads_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ontology = read(tmp_path, "[Term]\nid: F:1\nname: a\nalt_id: F:3\n[Term]\nid: F:2\nname: b\nalt_id: F:3\nis_a: F:3\n")
    assert ontology.triples == ()
    assert "does not define, or that are obsolete, left out: 1 (line 9)" in caplog.text


def test_synonyms_of_every_version(tmp_path: Path) -> None:
    lines = [
        'exact_synonym: "a" []',
        'synonym: "b" exact []',
        'synonym: "c" EXACT layperson [X:1 "d"]',
        'synonym: "e" EXACT',
        'related_synonym: "f" []',
        'narrow_synonym: "g" []',
        'synonym: "h" BROAD []',
        'synonym: "k" PLURAL []',
        'synonym: "i \\"j\\"" EXACT []',
    ]
    (concept,) = read(tmp_path, "[Term]\nid: F:1\nname: x\n" + "\n".join(lines) + "\n").concepts
    assert concept.synonyms == ("a", "b", "c", "e", 'i "j"')


def test_terms_with_one_identifier_are_joined(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    terms = ["name: lung\nis_a: F:2", 'name: pulmo\nsynonym: "lungs" EXACT []\nis_a: F:3', "name: lung"]
    others = "".join(f"[Term]\nid: F:{number}\nname: n{number}\n" for number in (2, 3))
    ontology = read(tmp_path, "".join(f"[Term]\nid: F:1\n{term}\n" for term in terms) + others)
    assert ontology.concepts[0] == Concept("F:1", "lung", ("pulmo", "lungs"), "F")
    assert [triple.tail for triple in ontology.triples] == ["F:2", "F:3"]
    assert "the identifier of an earlier one, joined with it: 2 (lines 6, 11)" in caplog.text


def test_what_is_left_out_is_counted_with_its_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "bad.obo"
    path.write_bytes(
        b'[Term]\nid: F:1\nname: caf\xe9\nsynonym: "coffee" EXACT []\n[Term\nid: F:2\nname: lost\n[Term]\nname: no id\n'
        b'[Term]\nid: F:3\nname: a\nis_a: F:3\nid: F:4\nname: b\nrelationship: part_of F:3\n[Term]\nid: F:5\nsynonym: "cut'
    )
    ontology = read_obo(path)
    assert {concept.id: concept.name for concept in ontology.concepts} == {"F:1": "F:1", "F:3": "a", "F:4": "b", "F:5": "F:5"}
    assert ontology.concepts[0].synonyms == ("coffee",)
    assert ontology.triples == (Triple("F:4", "part_of", "F:3"),)
    for expected in (
        "lines that are not UTF-8, left out (convert the file): 1 (line 3)",
        "stanzas of an unknown kind, left out: 1 (line 5)",
        "terms without an identifier, left out: 1 (line 8)",
        "is_a from a term to itself, left out: 1 (line 13)",
        "identifiers without [Term] before them, read as terms: 1 (line 14)",
        "synonyms without their quotation marks, left out: 1 (line 19)",
        "no line break at the end (is the file complete?): 1 (line 19)",
        "terms without a name, named by their identifier: 1 (line 18)",
    ):
        assert expected in caplog.text
    assert caplog.text.count(str(path)) == 1


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_line_breaks_and_byte_order_mark(tmp_path: Path, line_break: str) -> None:
    path = tmp_path / "small.obo"
    path.write_bytes(b"\xef\xbb\xbf" + HEART.lstrip().replace("\n", line_break).encode())
    assert read_obo(path).concepts == ALONE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"contains no usable term \(0 terms, 0 not obsolete\); is it the right file"),
        (b"hello\n", r"no usable term .*lines without a tag, left out: 1 \(line 1\)"),
        (b"format-version: 1.2\n\n[Term]\nid: A:1\nname: caf\xe9\n", r"not UTF-8.*\(line 5\)"),
        (b"format-version: 1.2\n\n[Term]\nid: A:1\n\n[Term\nid: A:2\n", r"without a name, named by their identifier: 1 \(line 4\)"),
        (b"[Term]\nid: A:1\nname: a\nis_obsolete: true\n", r"\(1 terms, 0 not obsolete\)"),
    ],
)
def test_a_file_with_nothing_usable_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.obo"
    path.write_bytes(content)
    with pytest.raises(KnowledgeError, match=message):
        read_ontology(path)


def test_a_strict_parser_reads_the_same_from_a_valid_file() -> None:
    terms = {term.id: term for term in pronto.Ontology(phantom_ontology_path()).terms()}
    ontology = read_obo(phantom_ontology_path())
    assert {concept.id: concept.name for concept in ontology.concepts} == {identifier: term.name for identifier, term in terms.items()}
    for concept in ontology.concepts:
        assert set(concept.synonyms) == {each.description for each in terms[concept.id].synonyms if each.scope == "EXACT"}
    parents = {(term.id, parent.id) for term in terms.values() for parent in term.superclasses(distance=1, with_self=False)}
    assert {(triple.head, triple.tail) for triple in ontology.triples if triple.relation == "is_a"} == parents


@pytest.mark.real_data
def test_the_real_disease_ontology(shared_data: Path) -> None:
    ontology = read_ontology(shared_data / "kg" / "doid" / "doid_2016-09-01.obo")
    assert len(ontology.concepts) == 9344 - 2373  # [Term] stanzas less obsolete ones
    assert len(ontology.triples) == 8155
    by_id = {concept.id: concept for concept in ontology.concepts}
    references = ("C0018923", "C0854893")
    assert by_id["DOID:0001816"] == Concept("DOID:0001816", "angiosarcoma", ("hemangiosarcoma",), "disease_ontology", references)


@pytest.mark.real_data
def test_the_real_anatomy(shared_data: Path) -> None:
    ontology = read_ontology(shared_data / "kg" / "uberon")
    relations = Counter(triple.relation for triple in ontology.triples)
    assert len(ontology.concepts) > 10_000
    assert relations["is_a"] > 11_000
    assert relations["part_of"] > 7_000
