"""Join concepts that no triple joins through the hierarchy: the concepts between them are too rare to be entities."""

from collections.abc import Iterator, Mapping

from medvlp.knowledge.ontology import Ontology, Triple

HAS_ANCESTOR = "has ancestor"
"""Relation of a concept to a wider one, over concepts that are no entities."""
COMMON_ANCESTOR = "common ancestor"
"""Relation, in both directions, of concepts below the same concept that is no entity."""
_MOST = 3
"""Maximum number of concepts that one is joined with: an ancestor may have thousands below it."""


def ancestor_triples(ontology: Ontology, counts: Mapping[str, int], lonely: set[str], steps: int) -> list[Triple]:
    """Return triples that join each of the ``lonely`` concepts with the nearest others, ascending.

    A concept is joined with the nearest concepts above and below it, or, if there are none, with those that share its nearest ancestor: of
    several the nearest, then the commonest.

    Args:
        ontology: the hierarchy.
        counts: number of mentions of each concept that may be an entity, by identifier.
        lonely: which of these concepts to join.
        steps: maximum number of steps up the hierarchy, from either concept.
    """
    above = {concept: _distances(ontology.parents, concept, steps) for concept in sorted(counts)}
    below: dict[str, dict[str, int]] = {}
    for concept, distances in above.items():
        for ancestor, distance in distances.items():
            below.setdefault(ancestor, {})[concept] = distance

    def best(distances: Mapping[str, int], concept: str) -> list[str]:
        found = [each for each in distances if each in counts and each != concept]
        return sorted(found, key=lambda each: (distances[each], -counts[each], each))[:_MOST]

    def joined(concept: str) -> Iterator[Triple]:
        lines = [Triple(concept, HAS_ANCESTOR, each) for each in best(above[concept], concept)]
        lines += [Triple(each, HAS_ANCESTOR, concept) for each in best(below[concept], concept)]
        if lines:
            yield from lines
            return
        for ancestor in above[concept]:  # the nearest first
            if relatives := best(below[ancestor], concept):
                for each in relatives:
                    yield from (Triple(concept, COMMON_ANCESTOR, each), Triple(each, COMMON_ANCESTOR, concept))
                return

    return sorted({triple for concept in lonely for triple in joined(concept)})


def _distances(parents: Mapping[str, tuple[str, ...]], concept: str, steps: int) -> dict[str, int]:
    """Return the number of steps to each ancestor within reach, the nearest first; the concept itself is 0."""
    found, front = {concept: 0}, [concept]
    for distance in range(1, steps + 1):
        front = [parent for each in front for parent in parents.get(each, ()) if parent not in found]
        found |= dict.fromkeys(front, distance)
    return found
