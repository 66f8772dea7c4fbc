"""Why concepts that the texts mention are no entities of a bundle."""

from collections.abc import Iterable, Mapping

from medvlp.knowledge.bundle import DroppedConcept
from medvlp.knowledge.ontology import Ontology

_KEPT = 100
"""Number of dropped concepts that a bundle names."""


def dropped_concepts(
    ontology: Ontology, mention_counts: Mapping[str, int], entities: set[str], minimum_count: int
) -> tuple[DroppedConcept, ...]:
    """Return the commonest mentioned concepts that are not among the ``entities``, the commonest first, each with the reason.

    Args:
        ontology: the ontology that the entities were chosen from.
        mention_counts: number of mentions by concept identifier.
        entities: identifiers of the entities.
        minimum_count: minimum number of mentions of an entity.
    """
    names = {concept.id: concept.name for concept in ontology.concepts}
    left = [concept for concept, count in mention_counts.items() if count > 0 and concept not in entities]
    shown = sorted(left, key=lambda concept: (-mention_counts[concept], concept))[:_KEPT]
    neighbours: dict[str, set[str]] = {concept: set() for concept in shown}
    for triple in ontology.triples:
        for concept, other in ((triple.head, triple.tail), (triple.tail, triple.head)):
            if concept in neighbours and other != concept:
                neighbours[concept].add(other)

    def reason(concept: str) -> str:
        if concept not in names:
            return "not in the ontology"
        if mention_counts[concept] < minimum_count:
            return f"fewer than {minimum_count} mentions"
        if not neighbours[concept]:
            return "no triple of the ontology contains it"
        commonest = max(sorted(neighbours[concept]), key=lambda other: mention_counts.get(other, 0))
        return (
            f"none of its neighbours in the ontology ({len(neighbours[concept])}) has {minimum_count} mentions; the commonest is "
            f"{names[commonest]} with {mention_counts.get(commonest, 0)}"
        )

    return tuple(DroppedConcept(concept, names.get(concept, concept), mention_counts[concept], reason(concept)) for concept in shown)


def describe_dropped(dropped: Iterable[DroppedConcept]) -> list[str]:
    """Return dropped concepts as lines of text."""
    lines = [f"    {each.count:8d}  {each.concept}  {each.name}: {each.reason}" for each in dropped]
    return ["  commonest concepts that are no entities:", *lines] if lines else []
