"""UMLS's files: what is taken of them, and what a wrong, cut or foreign file is answered with."""

from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept, Triple
from medvlp.knowledge.readers.registry import read_ontologies, read_ontology
from medvlp.knowledge.readers.rrf import NAMES_FILE, RELATIONS_FILE, TYPES_FILE, UMLSFilter


def name(cui: str, text: str, *, language: str = "ENG", source: str = "MSH", rank: str = "P|PF|Y", suppress: str = "N") -> str:
    status, form, preferred = rank.split("|")
    fields = (cui, language, status, "L1", form, "S1", preferred, "A1", "", "", "", source, "MH", "D1", text, "0", suppress, "256")
    return "|".join(fields) + "|\n"


def semantic(cui: str, tui: str, text: str) -> str:
    return f"{cui}|{tui}|A1.2|{text}|AT1|256|\n"


def relation(second: str, rel: str, first: str, rela: str = "", *, source: str = "MSH", direction: str = "", suppress: str = "N") -> str:
    return "|".join((first, "A1", "AUI", rel, second, "A2", "AUI", rela, "R1", "", source, source, "", direction, suppress, "")) + "|\n"


LUNG, ORGAN, CANCER = "C0024109", "C0178784", "C0242379"
NAMES = [
    name(LUNG, "Pulmones", language="SPA"),
    name(LUNG, "lungs", rank="S|VO|N"),
    name(LUNG, "Lung"),
    name(LUNG, "lung - retired", suppress="O"),
    name(LUNG, 'Lung "proper"', rank="S|PF|Y", source="SNOMEDCT_US"),
    name(ORGAN, "Organ"),
    name(CANCER, "Lung cancer", source="SNOMEDCT_US"),
]
TYPES = [
    semantic(LUNG, "T023", "Body Part, Organ, or Organ Component"),
    semantic(ORGAN, "T023", "Body Part, Organ, or Organ Component"),
    semantic(CANCER, "T033", "Finding"),
    semantic(CANCER, "T191", "Neoplastic Process"),
]
RELATIONS = [
    relation(LUNG, "CHD", ORGAN, "isa"),
    relation(ORGAN, "PAR", LUNG, "inverse_isa"),
    relation(LUNG, "RN", ORGAN),
    relation(CANCER, "RO", LUNG, "has_finding_site", source="SNOMEDCT_US", direction="Y"),
    relation(LUNG, "RO", CANCER, "finding_site_of", source="SNOMEDCT_US", direction="N"),
    relation(CANCER, "SIB", LUNG),
    relation(LUNG, "RO", LUNG, "part_of"),
    relation(CANCER, "RO", ORGAN, "old", suppress="O"),
    relation(CANCER, "RO", "C9999999", "elsewhere"),
]


def write(folder: Path, names: list[str] = NAMES, types: list[str] = TYPES, relations: list[str] = RELATIONS) -> Path:
    folder.mkdir(exist_ok=True)
    for file, rows in ((NAMES_FILE, names), (TYPES_FILE, types), (RELATIONS_FILE, relations)):
        (folder / file).write_text("".join(rows))
    return folder


def test_names_types_and_relations(tmp_path: Path) -> None:
    ontology = read_ontology(write(tmp_path / "META"))
    assert ontology.name == "META"
    assert ontology.concepts == (
        Concept(LUNG, "Lung", ('Lung "proper"', "lungs"), "Body Part, Organ, or Organ Component"),
        Concept(ORGAN, "Organ", (), "Body Part, Organ, or Organ Component"),
        Concept(CANCER, "Lung cancer", (), "Finding"),
    )
    assert ontology.triples == (
        Triple(LUNG, "is_a", ORGAN),
        Triple(LUNG, "narrower_than", ORGAN),
        Triple(CANCER, "has_finding_site", LUNG),
    )


def test_languages(tmp_path: Path) -> None:
    everywhere = read_ontology(write(tmp_path), umls=UMLSFilter(languages=[]))
    assert (everywhere.concepts[0].name, everywhere.concepts[0].synonyms) == ("Pulmones", ("Lung", 'Lung "proper"', "lungs"))
    spanish = read_ontology(tmp_path, umls=UMLSFilter(languages=["SPA"]))
    assert [concept.name for concept in spanish.concepts] == ["Pulmones"]


def test_sources(tmp_path: Path) -> None:
    ontology = read_ontology(write(tmp_path), umls=UMLSFilter(sources=["SNOMEDCT_US"]))
    assert [concept.name for concept in ontology.concepts] == ['Lung "proper"', "Lung cancer"]
    assert ontology.triples == (Triple(CANCER, "has_finding_site", LUNG),)


@pytest.mark.parametrize("wanted", ["Neoplastic Process", "T191"])
def test_semantic_types(tmp_path: Path, wanted: str) -> None:
    ontology = read_ontology(write(tmp_path), umls=UMLSFilter(semantic_types=[wanted]))
    assert ontology.concepts == (Concept(CANCER, "Lung cancer", (), "Neoplastic Process"),)
    assert ontology.triples == ()


def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_ontology(write(tmp_path))
    monkeypatch.setattr("medvlp.knowledge.readers.rrf._BLOCK_BYTES", 256)
    assert read_ontology(tmp_path) == whole


def test_umls_meets_an_ontology_that_refers_to_it(tmp_path: Path) -> None:
    (tmp_path / "uberon.obo").write_text("format-version: 1.2\n\n[Term]\nid: U:1\nname: pulmo\nxref: UMLS:C0024109\n")
    merged = read_ontologies([write(tmp_path / "META"), tmp_path / "uberon.obo"])
    assert merged.concepts[0].synonyms == ('Lung "proper"', "lungs", "pulmo")
    assert len(merged.concepts) == 3


@pytest.mark.parametrize("file", [NAMES_FILE, TYPES_FILE, RELATIONS_FILE])
def test_files_that_are_not_as_they_should_be(tmp_path: Path, file: str) -> None:
    path = write(tmp_path) / file
    whole = path.read_bytes()
    first, *rest = whole.splitlines(keepends=True)
    for content, message in (
        (b"".join(line.replace(b"|", b"", 1) for line in (first, *rest)), "its release or format is not supported"),
        (first + rest[0][:20] + b"\n", "damaged or truncated"),
        (whole[:-5], "truncated: its last row is incomplete"),
        (whole.replace(b"C0", b"X0"), "where a concept identifier"),
        (b"", "is empty"),
        (first.replace(b"Pulmones", b"\xff").replace(b"T023", b"\xff").replace(b"|isa|", b"|\xff|"), "damaged"),
    ):
        path.write_bytes(content)
        with pytest.raises(KnowledgeError, match=f"{file}.*{message}"):
            read_ontology(tmp_path)
    path.unlink()
    if file != NAMES_FILE:
        with pytest.raises(KnowledgeError, match=rf"there is no file .*{file}.*META folder"):
            read_ontology(tmp_path)


def test_a_filter_that_leaves_nothing_says_so(tmp_path: Path) -> None:
    with pytest.raises(KnowledgeError, match=r"no name that the filter keeps .*FRE"):
        read_ontology(write(tmp_path), umls=UMLSFilter(languages=["FRE"]))
