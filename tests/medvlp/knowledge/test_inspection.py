"""Inspection: the figures are those of the bundle, and the picture shows the concept that was asked for."""

from dataclasses import replace

import pytest
import torch
from matplotlib.figure import Figure

from medvlp.errors import KnowledgeError
from medvlp.knowledge.bundle import DroppedConcept, Entity, KnowledgeBundle, Provenance
from medvlp.knowledge.inspection import (
    NEIGHBOURS,
    Neighbour,
    degree_distribution,
    describe,
    describe_entity,
    draw_neighbourhood,
    entity_degrees,
    find_entity,
    nearest,
    neighbours,
)

LUNG, LOBE, ORGAN, CANCER = range(4)
BUNDLE = KnowledgeBundle(
    (
        Entity("C1", "lung", "anatomy", 50, ("pulmo", "organ")),
        Entity("C2", "lobe", "anatomy", 20),
        Entity("C3", "organ", "anatomy", 90),
        Entity("C4", "lung cancer", "disease", 7),
    ),
    ("is_a", "part_of"),
    torch.tensor([[LUNG, 0, ORGAN], [LOBE, 1, LUNG], [LOBE, 0, LUNG], [CANCER, 1, LUNG]]),
    torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [-1.0, 0.0]]),
    Provenance("small", "abc", "def", "dictionary-3", 5),
)


def texts(figure: Figure) -> set[str]:
    (axis,) = figure.axes
    return {text.get_text() for text in axis.texts} | {axis.get_title()}


def test_description() -> None:
    lines = describe(BUNDLE, commonest=2).splitlines()
    assert "ontology small (abc), linker dictionary-3, at least 5 mentions" in lines[0]
    assert lines[1].strip() == "4 entities, 4 triples, vectors of 2, 6 names"
    assert "relations: is_a 2, part_of 2" in lines[2]
    assert "semantic types: anatomy 3, disease 1" in lines[3]
    assert "mean 2.0, median 2, most 4" in lines[4]
    assert [line.split()[:2] for line in lines[-2:]] == [["90", "C3"], ["50", "C1"]]


def test_description_names_dropped_concepts() -> None:
    dropped = tuple(DroppedConcept(f"C{count}", "rib", count, "fewer than 5 mentions") for count in (40, 30, 20))
    lines = describe(replace(BUNDLE, dropped=dropped), commonest=2).splitlines()
    assert lines[-3] == "  commonest concepts that are no entities:"
    assert [line.strip() for line in lines[-2:]] == ["40  C40  rib: fewer than 5 mentions", "30  C30  rib: fewer than 5 mentions"]


def test_degrees() -> None:
    assert entity_degrees(BUNDLE) == [4, 2, 1, 1]
    assert degree_distribution([0, 1, 1, 2, 3, 4, 5, 8, 9, 40]) == [
        ("0", 1),
        ("1", 2),
        ("2", 1),
        ("3-4", 2),
        ("5-8", 2),
        ("9-16", 1),
        ("17-32", 0),
        ("33-64", 1),
    ]


def test_neighbours_with_relation_and_direction() -> None:
    assert neighbours(BUNDLE, LUNG) == [
        Neighbour("is_a", True, ORGAN),
        Neighbour("is_a", False, LOBE),
        Neighbour("part_of", False, LOBE),
        Neighbour("part_of", False, CANCER),
    ]
    description = describe_entity(BUNDLE, LUNG)
    assert "also: pulmo, organ" in description
    assert "──is_a──▶ C3  organ" in description
    assert "◀──part_of── C4  lung cancer" in description
    assert nearest(BUNDLE, LUNG, 2) == [LOBE, ORGAN]


@pytest.mark.parametrize(("name", "entity"), [("C4", CANCER), ("LUNG", LUNG), ("Pulmo", LUNG), ("organ", ORGAN)])
def test_entities_are_found_by_any_name(name: str, entity: int) -> None:
    assert find_entity(BUNDLE, name) == entity


def test_an_unknown_name_is_answered_with_near_ones() -> None:
    with pytest.raises(KnowledgeError, match=r"the bundle has no entity named 'lungg'; the nearest names are lung"):
        find_entity(BUNDLE, "lungg")


def test_the_picture_names_the_neighbourhood() -> None:
    assert {"lung", "lobe", "organ", "lung cancer", "is_a", "part_of", "is_a, part_of"} <= texts(draw_neighbourhood(BUNDLE, LUNG))
    # From the cancer the lung is near; lobe and organ stand behind it.
    assert {"lung cancer", "lung", "lobe", "organ", "part_of"} <= texts(draw_neighbourhood(BUNDLE, CANCER))


def test_a_picture_of_many_neighbours_says_what_it_leaves_out() -> None:
    entities = (Entity("C0", "hub", "t", 9), *(Entity(f"C{index}", f"leaf {index}", "t", index) for index in range(1, 31)))
    triples = torch.tensor([[index, 0, 0] for index in range(1, 31)])
    star = KnowledgeBundle(entities, ("is_a",), triples, torch.ones(31, 2), BUNDLE.provenance)
    drawn = texts(draw_neighbourhood(star, 0))
    assert f"hub (C0) in small; {30 - NEIGHBOURS} rarer neighbours are not drawn" in drawn
    assert "leaf 30" in drawn
    assert "leaf 1" not in drawn
