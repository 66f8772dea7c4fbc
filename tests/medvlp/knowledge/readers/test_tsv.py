"""Entities and triples in tables: rows, headers, and what is left out."""

import re
from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Triple
from medvlp.knowledge.readers.registry import read_ontology
from medvlp.knowledge.readers.tsv import read_tsv


def write_tsv(folder: Path, entities: str, triples: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "entities.tsv").write_text(entities, encoding="utf-8")
    (folder / "triples.tsv").write_text(triples, encoding="utf-8")
    return folder


def test_tsv_with_tab_inside_a_synonym(tmp_path: Path) -> None:
    entities = "C1\tsuberosis\tcork disease\t| cork  lung|\tDOID:840\n\nC2\tlung\t\tUBERON:1\r\n"
    ontology = read_ontology(write_tsv(tmp_path / "graph", entities, "C1\tC2\tdoid.obo\tlocated_in\nC1\tC404\tdoid.obo\tis_a\n"))
    assert ontology.name == "graph"
    assert ontology.concepts == (Concept("C1", "suberosis", ("cork disease", "cork lung"), "DOID"), Concept("C2", "lung", (), "UBERON"))
    assert ontology.triples == (Triple("C1", "located_in", "C2"),)


ENTITIES = "C1\tlung\tpulmo|lungs\tDOID:1\nC2\tleft lung\t\tDOID:2\n"
TRIPLES = "C2\tC1\tx\tis_a\n"
CONCEPTS = (Concept("C1", "lung", ("pulmo", "lungs"), "DOID"), Concept("C2", "left lung", (), "DOID"))


@pytest.mark.parametrize(
    ("entities", "triples"),
    [
        ("id\tname\tsynonyms\tsource", "head\ttail\tsource\trelation"),
        ("Concept ID\tPreferred Name\tAliases\tSource ID", "Subject\tObject\tSource\tPredicate"),
        ("#cui\tSTR\tsynonym\tcode", "#from\tto\tsrc\trel"),
        ("entityId\tprefLabel\talt_labels\tcurie", "head_id\ttail_id\tsource\trelation_type"),
        ("Kennung\tBezeichnung\tSynonyme\tQuelle", "Kopf\tEnde\tQuelle\tBeziehung"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_header_and_a_byte_order_mark_are_no_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, entities: str, triples: str, mark: str
) -> None:
    ontology = read_tsv(write_tsv(tmp_path / "graph", f"{mark}{entities}\n{ENTITIES}", f"{mark}{triples}\n{TRIPLES}"))
    assert ontology.concepts == CONCEPTS
    assert ontology.triples == (Triple("C2", "is_a", "C1"),)
    assert re.search(r"entities\.tsv: header rows, which are no data: 1 \(line 1\)", caplog.text)


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("first", ["lung\tlung\t\tX:1\n", "C\tname\t\tX:2\n", "ID\tan infectious disease\t\tX:5\n"])
def test_a_first_row_is_data_unless_it_has_titles(tmp_path: Path, mark: str, first: str) -> None:
    ontology = read_tsv(write_tsv(tmp_path / "graph", mark + first + ENTITIES, mark + TRIPLES))
    assert {concept.id for concept in ontology.concepts} == {first.partition("\t")[0], "C1", "C2"}
    assert len(ontology.triples) == 1


def test_rows_that_cannot_be_used_are_counted_with_their_lines(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_tsv(tmp_path / "graph", "", f"{TRIPLES}C2\tC1\tx\nC2\t\tx\tis_a\nC2\tC9\tx\tis_a\n")
    (folder / "entities.tsv").write_bytes(ENTITIES.encode() + b"C3\tribs\nC4\t\t\tD:4\n\nC5\tcaf\xe9\t\tD:5")
    ontology = read_tsv(folder)
    assert ontology.concepts == CONCEPTS
    assert ontology.triples == (Triple("C2", "is_a", "C1"),)
    for expected in (
        "fewer than 4 tab-separated columns, left out: 1 (line 3)",
        "without an identifier or a name, left out: 1 (line 4)",
        "not UTF-8, left out (convert the file): 1 (line 6)",
        "fewer than 4 tab-separated columns, left out: 1 (line 2)",
        "without head, tail or relation, left out: 1 (line 3)",
        "with an end that is no entity, left out: 1 (line 4)",
    ):
        assert expected in caplog.text


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ("C1,lung,,D:1\nC2,ribs,,D:2\n", r"contains no concept: rows with fewer .*: 2 \(lines 1, 2\); a row needs 4 columns"),
        ("C1\t\t\tD:1\n", r"without an identifier or a name, left out: 1 \(line 1\)"),
        ("id\tname\tsynonyms\tsource\n", r"header rows"),
        ("", r"entities\.tsv contains no concept \(it is empty\)"),
    ],
)
def test_files_with_nothing_usable_are_refused(tmp_path: Path, entities: str, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        read_tsv(write_tsv(tmp_path / "graph", entities))


@pytest.mark.real_data
def test_the_real_graph_of_umls_concepts(shared_data: Path) -> None:
    ontology = read_ontology(shared_data / "kg" / "cui_kg")
    assert len(ontology.concepts) == 8791
    assert len(ontology.triples) == 14308
    assert {concept.semantic_type for concept in ontology.concepts} == {"DOID", "SYMP", "UBERON"}
    assert len({end for triple in ontology.triples for end in (triple.head, triple.tail)}) == 8643
