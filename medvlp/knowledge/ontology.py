"""An ontology in memory: concepts with their names, and triples between them."""

import hashlib
import json
from collections.abc import Iterable
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

        Raises:
            KnowledgeError: there is no concept at all.
        """
        by_id = {concept.id: concept for concept in concepts}
        if not by_id:
            raise KnowledgeError(f"ontology {name!r} holds no concept: is it the right file?")
        kept = {triple for triple in triples if triple.head in by_id and triple.tail in by_id}
        return cls(name, tuple(by_id[key] for key in sorted(by_id)), tuple(sorted(kept)))

    @classmethod
    def merge(cls, ontologies: "list[Ontology]") -> "Ontology":
        """One ontology of several; where an identifier occurs twice the first one's name wins and synonyms add up."""
        if len(ontologies) == 1:
            return ontologies[0]
        merged: dict[str, Concept] = {}
        for concept in (concept for ontology in ontologies for concept in ontology.concepts):
            known = merged.get(concept.id)
            if known is None:
                merged[concept.id] = concept
                continue
            names = dict.fromkeys([*known.synonyms, concept.name, *concept.synonyms])
            synonyms = tuple(name for name in names if name != known.name)
            merged[concept.id] = Concept(known.id, known.name, synonyms, known.semantic_type or concept.semantic_type)
        triples = (triple for ontology in ontologies for triple in ontology.triples)
        return cls.build("+".join(ontology.name for ontology in ontologies), merged.values(), triples)

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
