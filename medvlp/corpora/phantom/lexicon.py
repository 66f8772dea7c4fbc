"""The names that phantom texts are written with: all of them come from the phantom ontology."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pronto
from numpy.random import Generator

from medvlp.errors import KnowledgeError

MAIN_NAME_RATE = 0.6
"""How often a concept goes by its main name rather than by a synonym."""


def phantom_ontology_path() -> Path:
    """The ontology of the phantoms, an OBO file that is part of the package."""
    return Path(__file__).with_name("phantom.obo")


@dataclass(frozen=True)
class Lexicon:
    """Concept identifiers and exact synonyms by main name."""

    concepts: dict[str, str]
    synonyms: dict[str, tuple[str, ...]]

    def concept(self, name: str) -> str:
        """The identifier of the concept whose main name is ``name``.

        Raises:
            KnowledgeError: the ontology has no such concept.
        """
        try:
            return self.concepts[name]
        except KeyError:
            raise KnowledgeError(f"{phantom_ontology_path().name} has no concept named {name!r}") from None

    def names(self, name: str) -> tuple[str, ...]:
        """All names that mean the same, the main one first."""
        self.concept(name)
        return name, *self.synonyms[name]

    def say(self, name: str, rng: Generator) -> str:
        """One of the names of a concept."""
        synonyms = self.names(name)[1:]
        if not synonyms or rng.random() < MAIN_NAME_RATE:
            return name
        return synonyms[rng.integers(len(synonyms))]


@cache
def lexicon() -> Lexicon:
    """The lexicon of the phantom ontology, read once per process.

    Only synonyms of scope EXACT are spoken; the others are there for a linker to find.
    """
    ontology = pronto.Ontology(phantom_ontology_path())
    concepts: dict[str, str] = {}
    synonyms: dict[str, tuple[str, ...]] = {}
    for term in ontology.terms():
        name = str(term.name)
        concepts[name] = term.id
        synonyms[name] = tuple(sorted(synonym.description for synonym in term.synonyms if synonym.scope == "EXACT"))
    return Lexicon(concepts, synonyms)
