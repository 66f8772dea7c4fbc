"""Linkers find the concepts that a text mentions, with their positions."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import ahocorasick

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.abbreviations import Definition, definitions
from medvlp.knowledge.linker.derivation import derived_names
from medvlp.knowledge.linker.folding import fold, folded, unhyphenated
from medvlp.knowledge.linker.negation import denied_names
from medvlp.knowledge.linker.spelling import can_be_looked_for, is_abbreviation, is_adjectival, is_function_word, is_symbol, variants
from medvlp.knowledge.ontology import Ontology


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One mention of a concept: ``text[start:end]``."""

    start: int
    """First character in the original text."""
    end: int
    """One past the last character."""
    concept: str
    """Concept identifier."""
    negated: bool = False
    """Whether the text negates it: "no pneumothorax"."""


class Linker(Protocol):
    """Finds mentions of concepts in a text; picklable, so that each worker can have one."""

    @property
    def name(self) -> str:
        """The kind of linker: "dictionary", "scispacy"."""

    @property
    def version(self) -> str:
        """Name and version of the rules, for provenance: links made with another version are different links."""

    def link(self, text: str) -> list[Span]:
        """Find every mention in ``text``, ascending, including nested ones ("lung" in "lung cancer").

        ``leftmost_longest`` selects those that do not overlap.
        """


_Abbreviations = tuple[tuple[str, str], ...]
"""Spelling in its exact letter case, concept."""


class DictionaryLinker:
    """Looks up the names and synonyms of an ontology with an Aho-Corasick automaton.

    - A match starts and ends at a word boundary: it never splits a sequence of letters and digits.
    - Letter case does not matter, except for abbreviations: names of at most four characters, all upper-case in the ontology ("ALL",
      "CT"), or of two in mixed case ("As"), match only as written. Hyphens are spaces, and accents do not matter: see ``folding``.
    - Names match in the plural, in other orders and spellings, and without the qualifiers of a terminology: see ``spelling.variants``.
    - Names that the ontology implies match too: "renal" for "kidney", "bladder" for "urinary bladder"; see ``derivation``.
    - If one name means several concepts: a name as written beats a generated variant, which beats an implied name; then a preferred name
      beats a synonym; then the smallest identifier wins.
    - An abbreviation that the text defines ("pulmonary embolism (PE)") has that meaning, whatever the ontology says.
    - Negated mentions are flagged: see ``negation``.
    - Names of one character, or without any letter, are ignored.
    """

    name = "dictionary"
    version = "dictionary-3"

    def __init__(self, names: Mapping[str, str], abbreviations: Mapping[str, _Abbreviations]) -> None:
        """``build`` creates the arguments: indexes from folded names to concepts."""
        self._arguments = names, abbreviations
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY)
        for key in {**names, **abbreviations}:
            self._automaton.add_word(key, (len(key), names.get(key), abbreviations.get(key, ())))
        self._automaton.make_automaton()

    def __reduce__(self) -> tuple[type, tuple[Mapping[str, str], Mapping[str, _Abbreviations]]]:
        """Pickle only the names: an eighth of the bytes of the automaton, and no slower to load."""
        return type(self), self._arguments

    @classmethod
    def build(cls, ontology: Ontology, *, derive: bool = True) -> "DictionaryLinker":
        """Index the names of ``ontology``.

        Args:
            ontology: concepts and their names.
            derive: whether to include the names that the ontology implies. A knowledge bundle already lists them as synonyms.

        Raises:
            KnowledgeError: the ontology has no usable name.
        """
        names: dict[str, str] = {}
        abbreviations: dict[str, dict[str, str]] = {}
        # Ascending by the ambiguity rule, so the first to claim a spelling keeps it.
        for _, _, concept, surface in sorted(_surfaces(ontology, derived_names(ontology) if derive else {})):
            if is_abbreviation(surface):
                abbreviations.setdefault(fold(surface), {}).setdefault(unhyphenated(surface), concept)
            else:
                names.setdefault(fold(surface), concept)
        if not names and not abbreviations:
            raise KnowledgeError(f"ontology {ontology.name!r} has no name of two characters or more to link by")
        return cls(names, {key: tuple(spellings.items()) for key, spellings in abbreviations.items()})

    def link(self, text: str) -> list[Span]:
        """Find every mention in ``text``, ascending, including nested and overlapping ones; offsets refer to ``text``."""
        spans = list(self._matches(text))
        if "(" in text:
            spans = _with_definitions(spans, text)
        spans.sort()
        return flag_denied(spans, text) if spans else spans

    def _matches(self, text: str) -> Iterator[Span]:
        looked_in = folded(text)
        for last, (length, concept, abbreviations) in self._automaton.iter(looked_in.text):
            start, end = last + 1 - length, last + 1
            if _cuts_word(looked_in.text, start) or _cuts_word(looked_in.text, end):
                continue
            start, end = looked_in.origin(start, end)
            # An abbreviation in its exact letter case is the more specific reading.
            meaning = _as_abbreviation(text, start, end, dict(abbreviations)) or concept if abbreviations else concept
            if meaning is not None:
                yield Span(start, end, meaning)


def _as_abbreviation(text: str, start: int, end: int, abbreviations: Mapping[str, str]) -> str | None:
    """Return the concept of ``text[start:end]`` as an abbreviation, if the letter case is that of the ontology.

    Where its letter case says nothing, a common word is no abbreviation: "ALL" in a text that is all upper-case, "As" at the beginning of a
    sentence.
    """
    written = unhyphenated(text[start:end])
    meaning = abbreviations.get(written)
    if meaning is None:
        return None
    if is_symbol(written):
        before = text[:start].rstrip()[-1:]
        return meaning if before.isalnum() or before in {",", "("} else None
    return None if is_function_word(written) and text.isupper() else meaning


def leftmost_longest(spans: Iterable[Span]) -> list[Span]:
    """Select spans from the left: keep the longest at each position and drop those that overlap it."""
    kept: list[Span] = []
    free = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= free:
            kept.append(span)
            free = span.end
    return kept


def _cuts_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1].isalnum() and text[place].isalnum()


def _with_definitions(spans: list[Span], text: str) -> list[Span]:
    """Give abbreviations that ``text`` defines the meaning defined there; drop all other readings of them."""
    for definition in definitions(text):
        places = _places(definition.short, text)
        meaning = _meaning(definition, spans)
        spans = [span for span in spans if (span.start, span.end) not in places]
        if meaning is not None:
            spans += [Span(start, end, meaning) for start, end in places]
    return spans


def _meaning(definition: Definition, spans: list[Span]) -> str | None:
    """Return the concept whose mention is the long form."""
    return next((span.concept for span in spans if (span.start, span.end) == (definition.start, definition.end)), None)


def _places(word: str, text: str) -> set[tuple[int, int]]:
    """Return the positions of ``word`` in ``text`` as a whole word, or with a plural s."""
    places = set()
    start = text.find(word)
    while start >= 0:
        end = start + len(word)
        end += text[end : end + 1] == "s"
        if not _cuts_word(text, start) and not _cuts_word(text, end):
            places.add((start, end))
        start = text.find(word, end)
    return places


def flag_denied(spans: list[Span], text: str) -> list[Span]:
    """Flag the spans that ``text`` negates; keep their order.

    A span that only describes something else is not flagged: "no gastric cancer" and "no gastric lesion" do not negate the stomach.
    """
    denied = denied_names(text, sorted({(span.start, span.end) for span in spans}))
    if not denied:
        return spans
    longest: dict[int, int] = {}
    for span in spans:
        longest[span.start] = max(span.end, longest.get(span.start, 0))

    def flag(span: Span) -> bool:
        return (span.start, span.end) in denied and longest[span.start] == span.end and not _describes(text, span)

    return [replace(span, negated=True) if flag(span) else span for span in spans]


def _describes(text: str, span: Span) -> bool:
    """Return whether ``span`` is an adjective before another word."""
    following = text[span.end : span.end + 2]
    return following[:1] == " " and following[1:].isalpha() and is_adjectival(fold(text[span.start : span.end]))


def _surfaces(ontology: Ontology, derived: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, bool, str, str]]:
    """Yield every spelling with its rank: origin (0 as written, 1 variant, 2 implied), synonym, concept."""
    for concept in ontology.concepts:
        for index, name in enumerate((concept.name, *concept.synonyms)):
            if can_be_looked_for(name):
                yield 0, index > 0, concept.id, name
                yield from ((1, index > 0, concept.id, variant) for variant in variants(name) if can_be_looked_for(variant))
        for name in derived.get(concept.id, ()):
            yield 2, True, concept.id, name
