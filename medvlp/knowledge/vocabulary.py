"""Choose the entities: from an ontology and counted mentions to a ``KnowledgeBundle`` (ARL's create_entity_vocab)."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ancestors import COMMON_ANCESTOR, ancestor_triples
from medvlp.knowledge.bundle import Entity, KnowledgeBundle, Provenance
from medvlp.knowledge.dropped import dropped_concepts
from medvlp.knowledge.linker.derivation import derived_names
from medvlp.knowledge.ontology import Concept, Ontology, Triple
from medvlp.knowledge.transe import TransEConfig, train_transe


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How much of the mentions in the texts the vocabulary covers."""

    concepts_mentioned: int
    """Number of concepts with at least one mention."""
    concepts_unknown: int
    """Number of mentioned concepts that are not in the ontology: the links were made with another one."""
    concepts_frequent: int
    """Number of concepts in the ontology with at least ``minimum_count`` mentions."""
    concepts_kept: int
    """Number of entities: frequent concepts in a triple with another frequent concept."""
    triples: int
    """Number of triples between entities."""
    mentions: int
    """Number of mentions of any concept."""
    mentions_kept: int
    """Number of mentions of entities."""
    concepts_joined: int = 0
    """Number of entities that are joined through ancestors only."""

    @property
    def mentions_fraction(self) -> float:
        """Fraction of the mentions that the vocabulary covers, 0 to 1."""
        return self.mentions_kept / self.mentions if self.mentions else 0.0

    def __str__(self) -> str:
        unknown = f" ({self.concepts_unknown} of them not in the ontology)" if self.concepts_unknown else ""
        joined = f" ({self.concepts_joined} through ancestors only)" if self.concepts_joined else ""
        return (
            f"{self.concepts_mentioned} concepts mentioned{unknown}, {self.concepts_frequent} often enough, {self.concepts_kept} of these "
            f"in {self.triples} triples{joined}; {self.mentions_kept} of {self.mentions} mentions covered ({self.mentions_fraction:.1%})"
        )


def build_bundle(
    ontology: Ontology,
    mention_counts: Mapping[str, int],
    *,
    minimum_count: int,
    links_fingerprint: str,
    linker: str,
    transe: TransEConfig,
    inverse_relations: bool = False,
    ancestor_steps: int = 0,
) -> tuple[KnowledgeBundle, Coverage]:
    """Choose entities and triples as ARL does, and train their vectors.

    Concepts with enough mentions are kept, then the triples between them, then only the concepts that have such a triple. Entity ids are
    sorted by descending number of triple ends, relation ids by descending number of triples; ties by ascending identifier. Parallel edges
    (several relations between the same two entities) are kept. The bundle names the commonest concepts that are dropped, with reasons.

    Args:
        ontology: concepts and triples to choose from.
        mention_counts: mentions per concept identifier, of the training split.
        minimum_count: minimum number of mentions of an entity; the paper's "more than 20" is 21.
        links_fingerprint: fingerprint of the counted links.
        linker: ``version`` of the linker that made the links.
        transe: how to train the vectors.
        inverse_relations: whether to add the inverse of every triple, as "inverse of is_a"; the paper does not.
        ancestor_steps: join concepts that no triple joins through ancestors at most this many steps up the hierarchy; the paper drops them.

    Raises:
        KnowledgeError: no triple is left, or the minimum count is below one (an entity without a mention would never be trained on texts).
    """
    if minimum_count < 1:
        raise KnowledgeError(f"minimum_count is {minimum_count}; an entity needs at least one mention, so give 1 or more")
    if ancestor_steps < 0:
        raise KnowledgeError(f"ancestor_steps is {ancestor_steps}; give 0 to join no concepts through ancestors, or more")
    by_id = {concept.id: concept for concept in ontology.concepts}
    frequent = {identifier: count for identifier in by_id if (count := mention_counts.get(identifier, 0)) >= minimum_count}
    kept = [triple for triple in ontology.triples if triple.head in frequent and triple.tail in frequent]
    lonely = set(frequent) - {end for triple in kept for end in (triple.head, triple.tail)}
    if ancestor_steps:
        kept += ancestor_triples(ontology, frequent, lonely, ancestor_steps)
    if inverse_relations:  # a common ancestor is in both directions already
        kept += [Triple(each.tail, f"inverse of {each.relation}", each.head) for each in kept if each.relation != COMMON_ANCESTOR]
    identifiers = _by_frequency(end for triple in kept for end in (triple.head, triple.tail))
    relations = _by_frequency(triple.relation for triple in kept)
    coverage = _coverage(by_id, mention_counts, len(frequent), identifiers, len(kept), len(lonely.intersection(identifiers)))
    if not kept:
        raise KnowledgeError(_nothing_left(ontology, coverage, minimum_count))
    chosen = [by_id[identifier] for identifier in identifiers]
    implied = derived_names(ontology)
    triples = _triple_ids(kept, identifiers, relations)
    bundle = KnowledgeBundle(
        entities=tuple(_entity(concept, implied.get(concept.id, ()), mention_counts[concept.id]) for concept in chosen),
        relations=relations,
        triples=triples,
        vectors=train_transe(triples, len(identifiers), len(relations), transe),
        provenance=Provenance(ontology.name, ontology.fingerprint, links_fingerprint, linker, minimum_count),
        dropped=dropped_concepts(ontology, mention_counts, set(identifiers), minimum_count),
    )
    return bundle, coverage


def _entity(concept: Concept, implied: tuple[str, ...], count: int) -> Entity:
    """Create an entity with the implied names as synonyms: the few concepts of the bundle would not imply them again."""
    return Entity(concept.id, concept.name, concept.semantic_type, count, (*concept.synonyms, *implied))


def _by_frequency(values: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(values)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value)))


def _triple_ids(triples: Sequence[Triple], identifiers: Sequence[str], relations: Sequence[str]) -> Tensor:
    entity_ids = {identifier: index for index, identifier in enumerate(identifiers)}
    relation_ids = {relation: index for index, relation in enumerate(relations)}
    return torch.tensor([(entity_ids[triple.head], relation_ids[triple.relation], entity_ids[triple.tail]) for triple in triples])


def _coverage(
    known: Container[str], counts: Mapping[str, int], frequent: int, entities: Iterable[str], triples: int, joined: int
) -> Coverage:
    mentioned = [concept for concept, count in counts.items() if count > 0]
    kept = [counts[entity] for entity in entities]
    return Coverage(
        concepts_mentioned=len(mentioned),
        concepts_unknown=sum(concept not in known for concept in mentioned),
        concepts_frequent=frequent,
        concepts_kept=len(kept),
        triples=triples,
        mentions=sum(counts[concept] for concept in mentioned),
        mentions_kept=sum(kept),
        concepts_joined=joined,
    )


def _nothing_left(ontology: Ontology, coverage: Coverage, minimum_count: int) -> str:
    advice = (
        "lower the minimum count, join concepts through ancestors (ancestor_steps), link more texts, or use an ontology with more triples"
    )
    if 0 < coverage.concepts_mentioned == coverage.concepts_unknown:
        advice = "the links do not belong to this ontology: link again with it"
    size = f"{len(ontology.concepts)} concepts, {len(ontology.triples)} triples"
    return (
        f"no triple of ontology {ontology.name!r} ({size}) joins two concepts that are mentioned at least {minimum_count} times: "
        f"{coverage}; {advice}"
    )
