"""An ontology in memory: concepts with their names, and triples between them."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from medvlp.errors import KnowledgeError

HIERARCHY = frozenset({"is_a", "isa", "narrower_than"})
"""Relations from a concept to a wider one: of OBO, OWL and tables; of sources of UMLS; of SKOS and UMLS."""


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept: its identifier, preferred name, synonyms and semantic type."""

    id: str
    name: str
    synonyms: tuple[str, ...] = ()
    semantic_type: str = ""
    """OBO namespace, or the identifier's prefix: "finding", "DOID", "UBERON" …"""
    cross_references: tuple[str, ...] = ()
    """Identifiers of the same concept in UMLS, as the ontology gives them."""

    @classmethod
    def cleaned(
        cls, identifier: str, name: str, synonyms: Iterable[str], semantic_type: str, cross_references: Iterable[str] = ()
    ) -> "Concept":
        """Create a concept with white space collapsed in its names, and without synonyms that are empty, repeated or equal to the name.

        If there is no name, the identifier replaces it.
        """
        preferred = " ".join(name.split()) or identifier
        names = dict.fromkeys(" ".join(synonym.split()) for synonym in synonyms)
        kept = tuple(synonym for synonym in names if synonym and synonym != preferred)
        return cls(identifier, preferred, kept, semantic_type, tuple(sorted(set(cross_references))))

    def joined(self, other: "Concept") -> "Concept":
        """Return this concept with the names of ``other``, the same concept from another source, as further synonyms."""
        synonyms = (*self.synonyms, other.name, *other.synonyms)
        references = (*self.cross_references, *other.cross_references)
        return Concept.cleaned(self.id, self.name, synonyms, self.semantic_type or other.semantic_type, references)


@dataclass(frozen=True, slots=True, order=True)
class Triple:
    """head --relation--> tail, by concept identifier."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True)
class Ontology:
    """Concepts and the triples between them; built by ``read_ontology`` and ``Ontology.merge``."""

    name: str
    concepts: tuple[Concept, ...]
    """Concepts, ascending by identifier, without repeats."""
    triples: tuple[Triple, ...]
    """Triples, ascending, without repeats; both ends are concepts of this ontology."""

    @classmethod
    def build(cls, name: str, concepts: Iterable[Concept], triples: Iterable[Triple]) -> "Ontology":
        """Sort, deduplicate, and drop triples with an end that is not a concept.

        If an identifier occurs twice, the first name wins and the other names become synonyms.

        Raises:
            KnowledgeError: there is no concept at all.
        """
        by_id: dict[str, Concept] = {}
        for concept in concepts:
            known = by_id.get(concept.id)
            by_id[concept.id] = concept if known is None else known.joined(concept)
        if not by_id:
            raise KnowledgeError(f"ontology {name!r} contains no concept: is it the right file?")
        kept = {triple for triple in triples if triple.head in by_id and triple.tail in by_id}
        return cls(name, tuple(by_id[key] for key in sorted(by_id)), tuple(sorted(kept)))

    @classmethod
    def merge(cls, ontologies: "Sequence[Ontology]") -> "Ontology":
        """Merge several ontologies into one, joined by identifier as in ``build``; earlier ontologies come first.

        Raises:
            KnowledgeError: there is none to merge.
        """
        if len(ontologies) == 1:
            return ontologies[0]
        concepts = (concept for ontology in ontologies for concept in ontology.concepts)
        triples = (triple for ontology in ontologies for triple in ontology.triples)
        return cls.build("+".join(ontology.name for ontology in ontologies), concepts, triples)

    def by_cross_reference(self) -> "Ontology":
        """Return the same ontology with UMLS identifiers for concepts with unambiguous cross-references.

        That means that a concept has one cross-reference, and no other concept has the same one. So ontologies from different sources are
        joined when merged.
        """
        claims = Counter(reference for concept in self.concepts for reference in concept.cross_references)
        taken = {concept.id for concept in self.concepts}
        renamed = {
            concept.id: concept.cross_references[0]
            for concept in self.concepts
            if len(concept.cross_references) == 1 and claims[concept.cross_references[0]] == 1 and concept.cross_references[0] not in taken
        }
        concepts = [replace(concept, id=renamed.get(concept.id, concept.id)) for concept in self.concepts]
        triples = [
            Triple(renamed.get(triple.head, triple.head), triple.relation, renamed.get(triple.tail, triple.tail)) for triple in self.triples
        ]
        return Ontology.build(self.name, concepts, triples)

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """The wider concepts of each concept that has any, by identifier."""
        found: dict[str, list[str]] = {}
        for triple in self.triples:
            if triple.relation in HIERARCHY and triple.head != triple.tail:
                found.setdefault(triple.head, []).append(triple.tail)
        return {head: tuple(dict.fromkeys(tails)) for head, tails in found.items()}

    def below(self, roots: Iterable[str]) -> set[str]:
        """Return ``roots`` and all concepts below them, by identifier."""
        children: dict[str, list[str]] = {}
        for child, parents in self.parents.items():
            for parent in parents:
                children.setdefault(parent, []).append(child)
        found: set[str] = set()
        waiting = list(roots)
        while waiting:
            identifier = waiting.pop()
            if identifier not in found:
                found.add(identifier)
                waiting += children.get(identifier, ())
        return found

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content, without the name and the cross-references."""
        digest = hashlib.sha256()
        for concept in self.concepts:
            row = [concept.id, concept.name, *concept.synonyms, concept.semantic_type]
            digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        for triple in self.triples:
            digest.update(json.dumps([triple.head, triple.relation, triple.tail]).encode() + b"\n")
        return digest.hexdigest()[:16]
