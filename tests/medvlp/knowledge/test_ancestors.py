"""Concepts that are joined through ancestors that are too rare to be entities."""

import pytest

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ancestors import COMMON_ANCESTOR, HAS_ANCESTOR, ancestor_triples
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.transe import TransEConfig
from medvlp.knowledge.vocabulary import build_bundle

PARENTS = {
    "pneumothorax": "pleural disease",
    "pleural effusion": "pleural disease",
    "pleural disease": "lung disease",
    "pneumonia": "lung disease",
    "lung disease": "disease",
    "heart disease": "disease",
    "cardiomegaly": "heart disease",
}


def tree(parents: dict[str, str]) -> Ontology:
    concepts = [Concept(name, name) for name in {*parents, *parents.values()}]
    return Ontology.build("tree", concepts, [Triple(child, "is_a", parent) for child, parent in parents.items()])


def joined(counts: dict[str, int], lonely: set[str], steps: int, parents: dict[str, str] = PARENTS) -> set[tuple[str, str, str]]:
    return {(each.head, each.relation, each.tail) for each in ancestor_triples(tree(parents), counts, lonely, steps)}


def both(relation: str, one: str, other: str) -> set[tuple[str, str, str]]:
    return {(one, relation, other), (other, relation, one)}


def test_the_nearest_common_ancestor_joins() -> None:
    counts = {"pneumothorax": 9, "pleural effusion": 5, "pneumonia": 7}
    pleural = both(COMMON_ANCESTOR, "pneumothorax", "pleural effusion")
    assert joined(counts, {"pneumothorax"}, 3) == pleural
    # For pneumonia, the nearest of two.
    assert joined(counts, set(counts), 2) == pleural | both(COMMON_ANCESTOR, "pneumonia", "pneumothorax") | both(
        COMMON_ANCESTOR, "pneumonia", "pleural effusion"
    )


def test_steps_are_the_limit_for_both_ends() -> None:
    counts = {"pneumothorax": 9, "cardiomegaly": 5}
    assert joined(counts, set(counts), 2) == set()
    assert joined(counts, set(counts), 3) == both(COMMON_ANCESTOR, "pneumothorax", "cardiomegaly")


def test_concepts_above_and_below_precede_those_beside() -> None:
    counts = {"pneumothorax": 9, "pleural effusion": 5, "lung disease": 3}
    above = {("pneumothorax", HAS_ANCESTOR, "lung disease")}
    assert joined(counts, {"pneumothorax"}, 2) == above
    assert joined(counts, {"lung disease"}, 2) == above | {("pleural effusion", HAS_ANCESTOR, "lung disease")}


def test_few_are_joined_where_thousands_share_an_ancestor() -> None:
    counts = {f"c{number}": number for number in range(1, 2000)}
    triples = joined(counts, set(counts), 1, dict.fromkeys(counts, "finding"))
    assert len(triples) <= 2 * 3 * len(counts)
    assert {tail for head, _, tail in triples if head == "c5"} == {"c1999", "c1998", "c1997"}


def test_a_cycle_ends() -> None:
    assert joined({"a": 1, "d": 1}, {"a"}, 9, {"a": "b", "b": "c", "c": "a", "d": "c"}) == {("d", HAS_ANCESTOR, "a")}


def test_a_bundle_keeps_what_ancestors_join() -> None:
    frequent = {"pneumothorax": 9, "pleural effusion": 5, "lung disease": 6, "disease": 4, "cardiomegaly": 8}
    counts = {**frequent, "pneumonia": 1, "heart disease": 1}
    common = {"minimum_count": 2, "links_fingerprint": "", "linker": "", "transe": TransEConfig(width=8, epochs=1)}
    plain, coverage = build_bundle(tree(PARENTS), counts, **common)  # type: ignore[arg-type]
    assert {entity.name for entity in plain.entities} == {"lung disease", "disease"}
    assert coverage.concepts_joined == 0
    bundle, coverage = build_bundle(tree(PARENTS), counts, ancestor_steps=2, inverse_relations=True, **common)  # type: ignore[arg-type]
    assert {entity.name for entity in bundle.entities} == set(frequent)
    assert coverage.concepts_joined == 3
    assert "(3 through ancestors only)" in str(coverage)
    assert set(bundle.relations) == {"is_a", "inverse of is_a", HAS_ANCESTOR, f"inverse of {HAS_ANCESTOR}"}
    with pytest.raises(KnowledgeError, match="ancestor_steps is -1"):
        build_bundle(tree(PARENTS), counts, ancestor_steps=-1, **common)  # type: ignore[arg-type]
