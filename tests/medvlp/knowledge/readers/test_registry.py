"""What a path is read as, and how several ontologies become one."""

from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.registry import read_ontologies, read_ontology


def write_tsv(folder: Path, entities: str, triples: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "entities.tsv").write_text(entities)
    (folder / "triples.tsv").write_text(triples)
    return folder


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
    for hidden in ("._part1.obo", ".part1.obo.swp.obo", "._x.owl"):
        (tmp_path / hidden).write_bytes(b"\x00\x05\x16\x07")
    (tmp_path / "folder.owl").mkdir()
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
def test_real_ontologies_meet(graphs: Path) -> None:
    paths = [graphs / "doid" / "doid_2016-09-01.obo", graphs / "uberon"]
    merged = read_ontologies([*paths, graphs / "cui_kg"])
    apart = sum(len(read_ontology(path).concepts) for path in (*paths, graphs / "cui_kg"))
    assert len(merged.concepts) < apart - 6_000
    (lung,) = [concept for concept in merged.concepts if concept.id == "C0024109"]
    assert lung.name == "lung"
