"""Linkers: from a text to the concepts that it mentions, with their places."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import ahocorasick

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.abbreviations import Definition, definitions
from medvlp.knowledge.linker.derivation import derived_names
from medvlp.knowledge.linker.negation import negated_ranges
from medvlp.knowledge.linker.spelling import can_be_looked_for, fold, is_abbreviation, is_adjectival, unhyphenated, variants
from medvlp.knowledge.ontology import Ontology


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """One mention of a concept: ``text[start:end]``."""

    start: int
    """In characters of the text as given."""
    end: int
    """One past the last character."""
    concept: str
    """Concept identifier."""
    negated: bool = False
    """Whether the text says that it is absent: "no pneumothorax"."""


class Linker(Protocol):
    """Finds mentions of concepts in a text; picklable, so that workers can have one each."""

    @property
    def name(self) -> str:
        """The kind of linker: "dictionary", "scispacy"."""

    @property
    def version(self) -> str:
        """Name and version of the rules, for provenance: links made under another version are other links."""

    def link(self, text: str) -> list[Span]:
        """Every mention in ``text``, ascending; mentions inside of others too ("lung" in "lung cancer").

        ``leftmost_longest`` chooses those that do not overlap.
        """


_Abbreviations = tuple[tuple[str, str], ...]
"""Spelling in its exact letter case, concept."""


class DictionaryLinker:
    """Looks up the names and synonyms of an ontology with an Aho-Corasick automaton.

    - A match starts and ends at a word boundary: it does not cut a run of letters and digits.
    - Letter case does not matter, except for abbreviations: names of at most four characters, all upper-case in the ontology ("ALL",
      "CT"), match only as written. Hyphens are spaces.
    - Names match in the plural, in other orders and spellings, and without the qualifiers of a terminology: see ``spelling.variants``.
    - Names that the ontology implies match too: "renal" for "kidney", "bladder" for "urinary bladder"; see ``derivation``.
    - Where one name means several concepts: as written beats a variant made here, and that an implied name; then a preferred name
      beats a synonym, then the smallest identifier wins.
    - An abbreviation that the text defines ("pulmonary embolism (PE)") means what it says there, whatever the ontology says.
    - What the text denies is flagged: see ``negation``.
    - Names of one character, or without any letter, are not looked for.
    """

    name = "dictionary"
    version = "dictionary-2"

    def __init__(self, names: Mapping[str, str], abbreviations: Mapping[str, _Abbreviations]) -> None:
        """An index of folded names to concepts; ``build`` makes the arguments."""
        self._arguments = names, abbreviations
        self._automaton = ahocorasick.Automaton(ahocorasick.STORE_ANY)
        for key in {**names, **abbreviations}:
            self._automaton.add_word(key, (len(key), names.get(key), abbreviations.get(key, ())))
        self._automaton.make_automaton()

    def __reduce__(self) -> tuple[type, tuple[Mapping[str, str], Mapping[str, _Abbreviations]]]:
        """Travel as names: an eighth of the bytes of the automaton, and no slower to read."""
        return type(self), self._arguments

    @classmethod
    def build(cls, ontology: Ontology, *, derive: bool = True) -> "DictionaryLinker":
        """Index the names of ``ontology``.

        Args:
            ontology: concepts and their names.
            derive: whether to look for the names that the ontology implies. A knowledge bundle lists them as synonyms already.

        Raises:
            KnowledgeError: it has no name that can be looked for.
        """
        names: dict[str, str] = {}
        abbreviations: dict[str, dict[str, str]] = {}
        # Ascending by the rule of ambiguity, so the first to claim a spelling keeps it.
        for _, _, concept, surface in sorted(_surfaces(ontology, derived_names(ontology) if derive else {})):
            if is_abbreviation(surface):
                abbreviations.setdefault(fold(surface), {}).setdefault(unhyphenated(surface), concept)
            else:
                names.setdefault(fold(surface), concept)
        if not names and not abbreviations:
            raise KnowledgeError(f"ontology {ontology.name!r} has no name of two characters or more to link by")
        return cls(names, {key: tuple(spellings.items()) for key, spellings in abbreviations.items()})

    def link(self, text: str) -> list[Span]:
        """Every mention in ``text``, ascending, nested and overlapping ones included; offsets are those of ``text``."""
        spans = list(self._matches(text))
        if "(" in text:
            spans = _with_definitions(spans, text)
        spans.sort()
        return flag_denied(spans, text) if spans else spans

    def _matches(self, text: str) -> Iterator[Span]:
        for last, (length, concept, abbreviations) in self._automaton.iter(fold(text)):
            end = last + 1
            start = end - length
            if _cuts_word(text, start) or _cuts_word(text, end):
                continue
            # An abbreviation in its exact letter case is the more specific reading.
            meaning = dict(abbreviations).get(unhyphenated(text[start:end]), concept) if abbreviations else concept
            if meaning is not None:
                yield Span(start, end, meaning)


def leftmost_longest(spans: Iterable[Span]) -> list[Span]:
    """The spans that remain when, from the left, the longest at each place is kept and what overlaps it is dropped."""
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
    """The spans, with those of abbreviations that ``text`` defines as it defines them; undefined readings are dropped."""
    for definition in definitions(text):
        places = _places(definition.short, text)
        meaning = _meaning(definition, spans)
        spans = [span for span in spans if (span.start, span.end) not in places]
        if meaning is not None:
            spans += [Span(start, end, meaning) for start, end in places]
    return spans


def _meaning(definition: Definition, spans: list[Span]) -> str | None:
    """The concept whose mention is the long form."""
    return next((span.concept for span in spans if (span.start, span.end) == (definition.start, definition.end)), None)


def _places(word: str, text: str) -> set[tuple[int, int]]:
    """Where ``word`` stands alone in ``text``, or with the s of the plural."""
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
    """The spans, ascending as given, with a flag on those that ``text`` denies.

    Not flagged is what only describes something else: "no gastric cancer" and "no gastric lesion" do not deny the stomach.
    """
    ranges = negated_ranges(text)
    if not ranges:
        return spans
    longest: dict[int, int] = {}
    for span in spans:
        longest[span.start] = max(span.end, longest.get(span.start, 0))

    def denied(span: Span) -> bool:
        described = longest[span.start] > span.end or _describes(text, span)
        return not described and any(start <= span.start and span.end <= stop for start, stop in ranges)

    return [replace(span, negated=True) if denied(span) else span for span in spans]


def _describes(text: str, span: Span) -> bool:
    """Whether ``span`` is an adjective before a further word."""
    following = text[span.end : span.end + 2]
    return following[:1] == " " and following[1:].isalpha() and is_adjectival(fold(text[span.start : span.end]))


def _surfaces(ontology: Ontology, derived: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[int, bool, str, str]]:
    """Every spelling to look for, with its rank: how it was made (0 is as written, 1 a variant, 2 implied), synonym, concept."""
    for concept in ontology.concepts:
        for index, name in enumerate((concept.name, *concept.synonyms)):
            if can_be_looked_for(name):
                yield 0, index > 0, concept.id, name
                yield from ((1, index > 0, concept.id, variant) for variant in variants(name) if can_be_looked_for(variant))
        for name in derived.get(concept.id, ()):
            yield 2, True, concept.id, name
