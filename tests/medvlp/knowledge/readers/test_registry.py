"""Readers: every supported form on small files, and what a wrong file is answered with."""

from collections import Counter
from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.registry import read_ontologies, read_ontology

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

OWL = """\
<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:owl="http://www.w3.org/2002/07/owl#"
 xmlns:rdfs="http://www.w3.org/2000/01/rdf-schema#" xmlns:oboInOwl="http://www.geneontology.org/formats/oboInOwl#">
<owl:Ontology rdf:about="http://purl.obolibrary.org/obo/x.owl"/>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/X_1"><rdfs:label>lung</rdfs:label>
 <oboInOwl:hasExactSynonym>pulmo</oboInOwl:hasExactSynonym>
 <rdfs:subClassOf rdf:resource="http://purl.obolibrary.org/obo/X_2"/></owl:Class>
<owl:Class rdf:about="http://purl.obolibrary.org/obo/X_2"><rdfs:label>organ</rdfs:label></owl:Class>
</rdf:RDF>
"""


def write_tsv(folder: Path, entities: str, triples: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "entities.tsv").write_text(entities)
    (folder / "triples.tsv").write_text(triples)
    return folder


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


def test_obo_with_a_cycle(tmp_path: Path) -> None:
    path = tmp_path / "cycle.obo"
    terms = ("id: A:1\nis_a: A:2", "id: A:2\nis_a: A:3", "id: A:3\nis_a: A:1", "id: A:4\nis_a: A:1")
    path.write_text("format-version: 1.2\n" + "".join(f"\n[Term]\n{term}\nname: x\n" for term in terms))
    with pytest.raises(KnowledgeError, match=r"cycle\.obo has a cycle: A:\d is_a A:\d is_a A:\d is_a A:\d; "):
        read_ontology(path)


def test_cross_references_are_where_ontologies_meet(tmp_path: Path) -> None:
    header = "format-version: 1.2\n"
    diseases = (
        "id: D:1\nname: pneumonia\nxref: UMLS_CUI:C0032285\nrelationship: located_in D:2",
        "id: D:2\nname: lungs\nxref: UMLS_CUI:C0024109\nxref: MESH:D008168",
        "id: D:3\nname: one of two\nxref: UMLS_CUI:C0000001",
        "id: D:4\nname: two of two\nxref: UMLS_CUI:C0000001",
        "id: D:5\nname: either\nxref: UMLS_CUI:C0000002\nxref: UMLS_CUI:C0000003",
    )
    anatomy = ('id: U:1\nname: lung\nxref: UMLS:C0024109 {source="ncit"}',)
    for name, terms in (("disease", diseases), ("anatomy", anatomy)):
        (tmp_path / f"{name}.obo").write_text(header + "".join(f"\n[Term]\n{term}\n" for term in terms))
    graph = write_tsv(tmp_path / "graph", "C0024109\tpulmo\t\tX:1\nC0000002\tthe other\t\tX:2\n")
    alone = read_ontologies([tmp_path / "disease.obo"])
    assert [concept.id for concept in alone.concepts] == ["D:1", "D:2", "D:3", "D:4", "D:5"]
    merged = read_ontologies([tmp_path / "disease.obo", tmp_path / "anatomy.obo", graph])
    assert [concept.id for concept in merged.concepts] == ["C0000002", "C0024109", "C0032285", "D:3", "D:4", "D:5"]
    lung = merged.concepts[1]
    assert (lung.name, lung.synonyms) == ("lungs", ("lung", "pulmo"))
    assert merged.triples == (Triple("C0032285", "located_in", "C0024109"),)


def test_owl(tmp_path: Path) -> None:
    path = tmp_path / "x.owl"
    path.write_text(OWL)
    ontology = read_ontology(path)
    assert ontology.concepts == (Concept("X:1", "lung", ("pulmo",), "X"), Concept("X:2", "organ", (), "X"))
    assert ontology.triples == (Triple("X:1", "is_a", "X:2"),)


def test_owl_that_refers_to_what_it_does_not_define(tmp_path: Path) -> None:
    path = tmp_path / "x.owl"
    path.write_text("".join(line for line in OWL.splitlines(keepends=True) if ">organ<" not in line))
    with pytest.raises(KnowledgeError, match=r"x\.owl refers to 'X:2'"):
        read_ontology(path)


def test_tsv_with_tab_inside_a_synonym(tmp_path: Path) -> None:
    entities = "C1\tsuberosis\tcork disease\t| cork  lung|\tDOID:840\n\nC2\tlung\t\tUBERON:1\r\n"
    ontology = read_ontology(write_tsv(tmp_path / "graph", entities, "C1\tC2\tdoid.obo\tlocated_in\nC1\tC404\tdoid.obo\tis_a\n"))
    assert ontology.name == "graph"
    assert ontology.concepts == (Concept("C1", "suberosis", ("cork disease", "cork lung"), "DOID"), Concept("C2", "lung", (), "UBERON"))
    assert ontology.triples == (Triple("C1", "located_in", "C2"),)


@pytest.mark.parametrize(
    ("entities", "triples", "message"),
    [
        ("C1\tlung\t\tD:1\nC2\tribs\n", "", r"entities\.tsv, line 2: 2 tab-separated columns"),
        ("C1\t\t\tD:1\n", "", r"entities\.tsv, line 1: an entity needs"),
        ("C1\tlung\t\tD:1\n", "C1\tC1\tsource\n", r"triples\.tsv, line 1: 3 tab-separated columns"),
        ("C1\tlung\t\tD:1\n", "\nC1\t\tsource\tis_a\n", r"triples\.tsv, line 2: a triple needs"),
        ("", "", "contains no concept"),
    ],
)
def test_malformed_rows_are_named(tmp_path: Path, entities: str, triples: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        read_ontology(write_tsv(tmp_path / "graph", entities, triples))


def test_missing_and_wrong_files_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match="no such file or folder"):
        read_ontology(tmp_path / "nowhere")
    with pytest.raises(KnowledgeError, match=r"looked for entities\.tsv with triples\.tsv, MRCONSO\.RRF, and for \*\.obo"):
        read_ontology(tmp_path)
    (tmp_path / "entities.tsv").write_text("C1\tlung\t\tD:1\n")
    with pytest.raises(KnowledgeError, match=r"there is no file .*triples\.tsv"):
        read_ontology(tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(KnowledgeError, match=r"notes\.txt is not a supported ontology"):
        read_ontology(tmp_path / "notes.txt")
    with pytest.raises(KnowledgeError, match="give at least one path"):
        read_ontologies([])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "not a readable OBO"),
        (b"format-version: 1.2\n\n[Term]\nid: A:1\nname: caf\xe9\n", "UTF-8"),
        (b"format-version: 1.2\n\n[Term]\nid A:1\n\n[Term\nid: A:2\n", r"not a readable OBO .*line \d"),
        (b"format-version: 1.2\n", "contains no concept"),
    ],
)
def test_broken_obo(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "broken.obo"
    path.write_bytes(content)
    with pytest.raises(KnowledgeError, match=message):
        read_ontology(path)


def test_broken_tsv_encoding(tmp_path: Path) -> None:
    folder = write_tsv(tmp_path / "graph", "")
    (folder / "entities.tsv").write_bytes(b"C1\tcaf\xe9\t\tD:1\n")
    with pytest.raises(KnowledgeError, match="not UTF-8"):
        read_ontology(folder)


def test_several_ontologies_merge_by_identifier(tmp_path: Path) -> None:
    first = write_tsv(tmp_path / "first", "C1\tlung\tpulmo\tU:1\nC2\tchest\t\tU:2\n", "C1\tC2\ts\tpart_of\n")
    second = write_tsv(tmp_path / "second", "C1\tLunge\tlung\tV:1\nC3\trib\t\tV:3\n", "C3\tC2\ts\tpart_of\n")
    merged = read_ontologies([first, second])
    assert merged.name == "first+second"
    assert merged.concepts[0] == Concept("C1", "lung", ("pulmo", "Lunge"), "U")
    # The second triple's tail is defined in the first ontology only, so alone it was left out when read.
    assert merged.triples == (Triple("C1", "part_of", "C2"),)
    assert read_ontologies([first]) == read_ontology(first)


def test_fingerprint_depends_on_content_only(tmp_path: Path) -> None:
    rows = ["C1\tlung\tpulmo\tU:1\n", "C2\tchest\t\tU:2\n"]
    first = read_ontology(write_tsv(tmp_path / "first", "".join(rows), "C1\tC2\ts\tpart_of\n"))
    same = read_ontology(write_tsv(tmp_path / "same", "".join(reversed(rows)), "C1\tC2\tt\tpart_of\nC1\tC2\ts\tpart_of\n"))
    other = read_ontology(write_tsv(tmp_path / "other", "".join(rows), "C2\tC1\ts\tpart_of\n"))
    assert first.fingerprint == same.fingerprint == "88533ae1da6af9f8"  # stored links and bundles name it
    assert first.fingerprint != other.fingerprint


def test_a_folder_of_obo_files_is_one_ontology(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"part{number}.obo").write_text(f"format-version: 1.2\n\n[Term]\nid: A:{number}\nname: a{number}\n")
    ontology = read_ontology(tmp_path)
    assert ontology.name == tmp_path.name
    assert [concept.id for concept in ontology.concepts] == ["A:1", "A:2"]


def test_merging_nothing_is_refused() -> None:
    with pytest.raises(KnowledgeError, match="no concept"):
        Ontology.merge([])


@pytest.fixture
def graphs(shared_data: Path) -> Path:
    return shared_data / "kg"


@pytest.mark.real_data
def test_the_real_graph_of_umls_concepts(graphs: Path) -> None:
    ontology = read_ontology(graphs / "cui_kg")
    assert len(ontology.concepts) == 8791
    assert len(ontology.triples) == 14308
    assert {concept.semantic_type for concept in ontology.concepts} == {"DOID", "SYMP", "UBERON"}
    assert len({end for triple in ontology.triples for end in (triple.head, triple.tail)}) == 8643


@pytest.mark.real_data
def test_the_real_disease_ontology(graphs: Path) -> None:
    ontology = read_ontology(graphs / "doid" / "doid_2016-09-01.obo")
    assert len(ontology.concepts) == 9344 - 2373  # [Term] stanzas less obsolete ones
    assert len(ontology.triples) == 8155
    by_id = {concept.id: concept for concept in ontology.concepts}
    references = ("C0018923", "C0854893")
    assert by_id["DOID:0001816"] == Concept("DOID:0001816", "angiosarcoma", ("hemangiosarcoma",), "disease_ontology", references)


@pytest.mark.real_data
def test_the_real_anatomy(graphs: Path) -> None:
    ontology = read_ontology(graphs / "uberon")
    relations = Counter(triple.relation for triple in ontology.triples)
    assert len(ontology.concepts) > 10_000
    assert relations["is_a"] > 11_000
    assert relations["part_of"] > 7_000


@pytest.mark.real_data
def test_real_ontologies_meet(graphs: Path) -> None:
    paths = [graphs / "doid" / "doid_2016-09-01.obo", graphs / "uberon"]
    merged = read_ontologies([*paths, graphs / "cui_kg"])
    apart = sum(len(read_ontology(path).concepts) for path in (*paths, graphs / "cui_kg"))
    assert len(merged.concepts) < apart - 6_000
    (lung,) = [concept for concept in merged.concepts if concept.id == "C0024109"]
    assert lung.name == "lung"
