"""Linkers: from a text to the concepts that it mentions, with their places."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import ahocorasick

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Ontology

_ABBREVIATION_LENGTH = 4
_MINIMUM_LENGTH = 2
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_VOWELS = frozenset("aeiou")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One mention of a concept: ``text[start:end]``."""

    start: int
    """In characters of the text as given."""
    end: int
    """One past the last character."""
    concept: str
    """Concept identifier."""


class Linker(Protocol):
    """Finds mentions of concepts in a text; picklable, so that workers can have one each."""

    @property
    def name(self) -> str:
        """The kind of linker: "dictionary"."""

    @property
    def version(self) -> str:
        """Name and version of the rules, for provenance: links made under another version are other links."""

    def link(self, text: str) -> list[Span]:
        """The mentions in ``text``, ascending and without overlap."""


@dataclass(slots=True)
class _Entry:
    """What one key of the automaton stands for."""

    length: int
    """Characters of the key."""
    concept: str | None = None
    """The concept when letter case does not matter; None if there are only abbreviations."""
    abbreviations: tuple[tuple[str, str], ...] = ()
    """Spelling with its letter case, concept."""

    def resolve(self, surface: str) -> str | None:
        """The concept that ``surface`` means here; an abbreviation in its exact letter case is the more specific reading."""
        for spelling, concept in self.abbreviations:
            if spelling == surface:
                return concept
        return self.concept


class DictionaryLinker:
    """Looks up the names and synonyms of an ontology with an Aho-Corasick automaton.

    - A match starts and ends at a word boundary: it does not cut a run of letters and digits.
    - Letter case does not matter, except for abbreviations: names of at most four characters, all upper-case in the ontology ("ALL",
      "CT"), match only as written.
    - Names match in the English plural too: "nodule" finds "nodules", "mass" "masses", "biopsy" "biopsies".
    - Of overlapping matches the leftmost wins, of those the longest.
    - Where one name means several concepts: as written beats a plural made here, a preferred name beats a synonym, then the smallest
      identifier wins.
    - Names of one character, or without any letter, are not looked for.
    """

    name = "dictionary"
    version = "dictionary-1"

    def __init__(self, automaton: ahocorasick.Automaton) -> None:
        self._automaton = automaton

    @classmethod
    def build(cls, ontology: Ontology) -> "DictionaryLinker":
        """Index the names of ``ontology``.

        Raises:
            KnowledgeError: it has no name that can be looked for.
        """
        entries: dict[str, _Entry] = {}
        taken: set[str] = set()
        # Ascending by the rule of ambiguity, so the first to claim a spelling keeps it.
        for _, _, concept, surface in sorted(_surfaces(ontology)):
            exact = _is_abbreviation(surface)
            spelling = surface if exact else lower(surface)
            if spelling in taken:
                continue
            taken.add(spelling)
            entry = entries.setdefault(lower(surface), _Entry(len(surface)))
            if exact:
                entry.abbreviations = (*entry.abbreviations, (surface, concept))
            else:
                entry.concept = concept
        if not entries:
            raise KnowledgeError(f"ontology {ontology.name!r} has no name of two characters or more to link by")
        automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY)
        for key, entry in entries.items():
            automaton.add_word(key, entry)
        automaton.make_automaton()
        return cls(automaton)

    def link(self, text: str) -> list[Span]:
        """The mentions in ``text``, ascending and without overlap; offsets are those of ``text``."""
        return leftmost_longest(self.candidates(text))

    def candidates(self, text: str) -> Iterator[Span]:
        """Every match at word boundaries, nested and overlapping ones included."""
        for last, entry in self._automaton.iter(lower(text)):
            end = last + 1
            start = end - entry.length
            if _cuts_word(text, start) or _cuts_word(text, end):
                continue
            concept = entry.resolve(text[start:end])
            if concept is not None:
                yield Span(start, end, concept)


def leftmost_longest(spans: Iterable[Span]) -> list[Span]:
    """The spans that remain when, from the left, the longest at each place is kept and what overlaps it is dropped."""
    kept: list[Span] = []
    free = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= free:
            kept.append(span)
            free = span.end
    return kept


def lower(text: str) -> str:
    """Lower-case ``text`` character by character, so that the offsets stay: ``str.lower`` makes two characters of "İ".

    It also spells "Σ" differently at the end of a word, so that a name and its mention would not meet.
    """
    if text.isascii():
        return text.lower()
    lowered = (character.lower() for character in text)
    return "".join(new if len(new) == 1 else old for old, new in zip(text, lowered, strict=True))


def _cuts_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _is_abbreviation(name: str) -> bool:
    # A plural made here keeps its small s: "CTs".
    stem = name[:-1] if name.endswith("s") and len(name) > _MINIMUM_LENGTH else name
    return len(stem) <= _ABBREVIATION_LENGTH and stem.isupper()


def _surfaces(ontology: Ontology) -> Iterator[tuple[bool, bool, str, str]]:
    """Every spelling to look for, with its rank: made plural, synonym, concept."""
    for concept in ontology.concepts:
        for index, name in enumerate((concept.name, *concept.synonyms)):
            if len(name) < _MINIMUM_LENGTH or not any(character.isalpha() for character in name):
                continue
            synonym = index > 0
            yield False, synonym, concept.id, name
            yield True, synonym, concept.id, _plural(name)


def _plural(name: str) -> str:
    if name.isupper():
        return name + "s"
    if name.endswith(_SIBILANTS):
        return name + "es"
    if name.endswith("y") and name[-2] not in _VOWELS:
        return name[:-1] + "ies"
    return name + "s"
