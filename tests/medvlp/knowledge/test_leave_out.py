"""Concepts and branches that are left out of ontologies."""

from pathlib import Path

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.leave_out import LeaveOut
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.readers.registry import read_ontologies

PARENTS = {
    "HP:2": ("Abnormality", "HP:1"),
    "HP:3": ("Modifier", "HP:1"),
    "HP:4": ("Severity", "HP:3"),
    "HP:5": ("Mild", "HP:4"),
    "HP:6": ("Pneumothorax", "HP:2"),
}
HPO = Ontology.build(
    "hpo",
    [Concept("HP:1", "All"), *(Concept(identifier, name) for identifier, (name, _) in PARENTS.items())],
    [Triple(identifier, "is_a", parent) for identifier, (_, parent) in PARENTS.items()] + [Triple("HP:5", "narrower_than", "HP:3")],
)


def left(ontologies: list[Ontology], leave_out: LeaveOut) -> list[set[str]]:
    return [{concept.name for concept in ontology.concepts} for ontology in leave_out.of(ontologies)]


def test_a_concept_is_left_out_alone_and_a_branch_with_all_below_it() -> None:
    assert left([HPO], LeaveOut(concepts=["All"], branches=["modifier"])) == [{"Abnormality", "Pneumothorax"}]
    assert left([HPO], LeaveOut(concepts=["HP:4"])) == [{"All", "Abnormality", "Modifier", "Mild", "Pneumothorax"}]
    assert left([HPO], LeaveOut(branches=["hp:4", "Pneumothorax"])) == [{"All", "Abnormality", "Modifier"}]
    (ontology,) = LeaveOut(concepts=["All"]).of([HPO])
    assert Triple("HP:6", "is_a", "HP:2") in ontology.triples
    assert all("HP:1" not in (triple.head, triple.tail) for triple in ontology.triples)


def test_nothing_is_left_out_by_default() -> None:
    assert LeaveOut().of([HPO]) == [HPO]


def test_a_cycle_ends() -> None:
    circle = Ontology.build("circle", [Concept(name, name) for name in "abc"], [Triple("a", "isa", "b"), Triple("b", "isa", "a")])
    assert left([circle], LeaveOut(branches=["a"])) == [{"c"}]


def test_each_of_several_ontologies_loses_its_own() -> None:
    concepts = [Concept("O:1", "Severity"), Concept("O:2", "Right"), Concept("O:3", "lung")]
    other = Ontology.build("other", concepts, [Triple("O:2", "is_a", "O:1")])
    # HP:5 is below the modifiers by another way too, but all that is below a branch is left out.
    left_out = LeaveOut(branches=["Severity"], concepts=["All"])
    assert left([HPO, other], left_out) == [{"Abnormality", "Modifier", "Pneumothorax"}, {"lung"}]


@pytest.mark.parametrize(
    ("leave_out", "message"),
    [
        (LeaveOut(concepts=["Severty"]), "cannot leave out 'Severty': .*; the nearest are Severity"),
        (LeaveOut(branches=["xyz"]), "cannot leave out 'xyz': no ontology has a concept with this identifier or preferred name$"),
        (LeaveOut(branches=["All"]), "leaves nothing of ontology 'hpo': .* leave_out.concepts"),
    ],
)
def test_a_mistake_is_named(leave_out: LeaveOut, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        leave_out.of([HPO])


def test_concepts_are_left_out_before_cross_references_rename_them(tmp_path: Path) -> None:
    terms = ["id: HP:1\nname: All\nxref: UMLS:C0000001", "id: HP:2\nname: Pneumothorax\nxref: UMLS:C0032326\nis_a: HP:1"]
    paths = [tmp_path / "a.obo", tmp_path / "b.obo"]
    for path in paths:
        path.write_text("".join(f"[Term]\n{term}\n\n" for term in terms))
    merged = read_ontologies(paths, leave_out=LeaveOut(concepts=["HP:1"]))
    assert [concept.id for concept in merged.concepts] == ["C0032326"]
