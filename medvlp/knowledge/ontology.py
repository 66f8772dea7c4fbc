"""An ontology in memory: concepts with their names, and triples between them."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from medvlp.errors import KnowledgeError


@dataclass(frozen=True, slots=True)
class Concept:
    """One concept: its identifier, preferred name, synonyms, and what kind of thing it is."""

    id: str
    name: str
    synonyms: tuple[str, ...] = ()
    semantic_type: str = ""
    """OBO namespace, or the identifier's prefix: "finding", "DOID", "UBERON" …"""

    @classmethod
    def cleaned(cls, identifier: str, name: str, synonyms: Iterable[str], semantic_type: str) -> "Concept":
        """A concept with white space collapsed in its names, and synonyms neither empty, repeated nor equal to the name.

        Without any name the identifier stands in.
        """
        preferred = " ".join(name.split()) or identifier
        names = dict.fromkeys(" ".join(synonym.split()) for synonym in synonyms)
        return cls(identifier, preferred, tuple(synonym for synonym in names if synonym and synonym != preferred), semantic_type)

    def joined(self, other: "Concept") -> "Concept":
        """This concept with the names of ``other`` as further synonyms; ``other`` is the same concept from another place."""
        synonyms = (*self.synonyms, other.name, *other.synonyms)
        return Concept.cleaned(self.id, self.name, synonyms, self.semantic_type or other.semantic_type)


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
    """Ascending by identifier, each identifier once."""
    triples: tuple[Triple, ...]
    """Ascending, each once; both ends are concepts of this ontology."""

    @classmethod
    def build(cls, name: str, concepts: Iterable[Concept], triples: Iterable[Triple]) -> "Ontology":
        """Sort, deduplicate, and leave out triples with an end that is no concept.

        Where an identifier occurs twice, the first one's name wins and the other's names become synonyms.

        Raises:
            KnowledgeError: there is no concept at all.
        """
        by_id: dict[str, Concept] = {}
        for concept in concepts:
            known = by_id.get(concept.id)
            by_id[concept.id] = concept if known is None else known.joined(concept)
        if not by_id:
            raise KnowledgeError(f"ontology {name!r} holds no concept: is it the right file?")
        kept = {triple for triple in triples if triple.head in by_id and triple.tail in by_id}
        return cls(name, tuple(by_id[key] for key in sorted(by_id)), tuple(sorted(kept)))

    @classmethod
    def merge(cls, ontologies: "Sequence[Ontology]") -> "Ontology":
        """One ontology of several, joined by identifier as in ``build``; earlier ontologies come first.

        Raises:
            KnowledgeError: there is none to merge.
        """
        if len(ontologies) == 1:
            return ontologies[0]
        concepts = (concept for ontology in ontologies for concept in ontology.concepts)
        triples = (triple for ontology in ontologies for triple in ontology.triples)
        return cls.build("+".join(ontology.name for ontology in ontologies), concepts, triples)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content; the name does not count."""
        digest = hashlib.sha256()
        for concept in self.concepts:
            row = [concept.id, concept.name, *concept.synonyms, concept.semantic_type]
            digest.update(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        for triple in self.triples:
            digest.update(json.dumps([triple.head, triple.relation, triple.tail]).encode() + b"\n")
        return digest.hexdigest()[:16]
