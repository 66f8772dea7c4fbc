"""The names in phantom texts, all from the phantom ontology."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from numpy.random import Generator

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Concept
from medvlp.knowledge.readers.registry import read_ontology

MAIN_NAME_RATE = 0.6
"""Probability of using the main name of a concept instead of a synonym."""


def phantom_ontology_path() -> Path:
    """Return the ontology of the phantoms, an OBO file in the package."""
    return Path(__file__).with_name("phantom.obo")


@dataclass(frozen=True)
class Lexicon:
    """Concepts by their main names."""

    concepts: dict[str, Concept]

    def concept(self, name: str) -> Concept:
        """Return the concept whose main name is ``name``.

        Raises:
            KnowledgeError: the ontology has no such concept.
        """
        try:
            return self.concepts[name]
        except KeyError:
            raise KnowledgeError(f"{phantom_ontology_path()} has no concept named {name!r}") from None

    def names(self, name: str) -> tuple[str, ...]:
        """Return the main name and its exact synonyms."""
        return name, *self.concept(name).synonyms

    def say(self, name: str, rng: Generator) -> str:
        """Choose one of the names of a concept."""
        synonyms = self.concept(name).synonyms
        if not synonyms or rng.random() < MAIN_NAME_RATE:
            return name
        return synonyms[rng.integers(len(synonyms))]


@cache
def lexicon() -> Lexicon:
    """Return the lexicon of the phantom ontology, read once per process.

    Texts use only EXACT synonyms; the others ("lesion", "CT") exist for a linker to find.
    """
    return Lexicon({concept.name: concept for concept in read_ontology(phantom_ontology_path()).concepts})
