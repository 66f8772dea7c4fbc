"""Names that an ontology implies but does not list, derived from its own synonyms; needs no text and no word list.

- Relational adjectives: "renal cortex" and "kidney cortex" name one concept, and so do many similar pairs, so "renal" stands for "kidney".
  Where synonyms do not help, the regular endings of medical Latin do: "maxilla", "maxillary".
- Shortened names: "urinary bladder neck" is often "bladder neck", so "bladder" stands for "urinary bladder".
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from medvlp.knowledge.linker.folding import fold
from medvlp.knowledge.linker.spelling import bare, is_adjectival
from medvlp.knowledge.ontology import Ontology

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_LONGEST_NAME = 6
"""Maximum number of words; longer names are descriptions, whose parts mean little."""
_FILLERS = 3
"""A slot with more fillers is a list of sites, not of synonyms."""
_PHRASE = 2
"""Maximum number of words to compare one word with."""

_SUPPORT = 4
"""Minimum number of concepts whose synonyms show that two dissimilar words mean the same."""
_SUPPORT_ALIKE = 2
"""The same for words with a common beginning."""
_ALIKE = 3
"""Length of that common beginning, in letters."""
_SHORTENED_SUPPORT = 3
_COMMON = 20
"""Maximum ratio of the frequency of an adjective to that of its noun in the names; "central" is far more common than "centrum"."""

_ADJECTIVES = (
    ("nx", ("ngeal",)),
    ("ex", ("ical",)),
    ("ix", ("iceal", "ical")),
    ("ax", ("acic",)),
    ("yx", ("ygeal",)),
    ("le", ("ular",)),
    ("sis", ("tic",)),
    ("is", ("ic", "al", "ar")),
    ("um", ("al", "ar", "ic", "ac")),
    ("us", ("al", "ar", "ic", "eal")),
    ("as", ("atic",)),
    ("ma", ("matous", "mal")),
    ("a", ("al", "ar", "ary", "ic")),
    ("y", ("ial", "ic")),
    ("e", ("al", "ar", "ic")),
    ("", ("al", "ar", "ic", "ary", "eal", "atic")),
)
"""Ending of a noun, endings of its adjectives; the first match is used."""
_SHORTEST_NOUN = 5


def derived_names(ontology: Ontology) -> dict[str, tuple[str, ...]]:
    """Return the implied names of each concept that has any, by concept identifier; none is a name of the ontology."""
    names = _Names(ontology)
    found: dict[str, list[str]] = defaultdict(list)
    meanings = {**_regular_adjectives(names), **_attested_adjectives(names), **_shortened(names)}
    for word, noun in sorted(meanings.items()):
        found[names.owners[noun]].append(word)
    return {concept: tuple(words) for concept, words in found.items()}


@dataclass(eq=False)
class _Names:
    """The names of an ontology, split into words."""

    ontology: Ontology

    @cached_property
    def by_concept(self) -> dict[str, list[tuple[str, ...]]]:
        """Concept to its names and their reorderings, as folded words."""
        return {
            concept.id: sorted({words for name in (concept.name, *concept.synonyms) for words in _readings(name)})
            for concept in self.ontology.concepts
        }

    @cached_property
    def owners(self) -> dict[str, str]:
        """Folded name to concept: a preferred name beats a synonym, then the smallest identifier wins."""
        ranked = sorted(
            (index > 0, concept.id, " ".join(_words(name)))
            for concept in self.ontology.concepts
            for index, name in enumerate((concept.name, *concept.synonyms))
        )
        return {name: concept for _, concept, name in reversed(ranked)}

    @cached_property
    def uses(self) -> Counter[str]:
        """Number of occurrences of a word in the names, over all concepts."""
        return Counter(word for names in self.by_concept.values() for words in names for word in words)

    @cached_property
    def heads(self) -> Counter[str]:
        """Number of times that a word is the last of several, which in English is the noun."""
        return Counter(words[-1] for names in self.by_concept.values() for words in names if len(words) > 1 and "of" not in words)

    @cached_property
    def headed(self) -> dict[str, set[str]]:
        """Word to the concepts with a multi-word name that ends in it."""
        concepts: dict[str, set[str]] = defaultdict(set)
        for concept, names in self.by_concept.items():
            for words in names:
                if len(words) > 1 and "of" not in words:
                    concepts[words[-1]].add(concept)
        return concepts

    @cached_property
    def substitutions(self) -> dict[str, Counter[str]]:
        """Word that is not a name, to the names that it replaces, each with the number of concepts whose synonyms show this."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for names in self.by_concept.values():
            pairs = {pair for fillers in _slots(names) for pair in self._pairs(fillers)}
            for word, noun in pairs:
                counts[word][noun] += 1
        return counts

    def _pairs(self, fillers: set[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        for filler in fillers:
            if len(filler) == 1 and filler[0] not in self.owners:
                yield from ((filler[0], " ".join(other)) for other in fillers if other != filler and " ".join(other) in self.owners)

    def is_adjective(self, word: str) -> bool:
        """Return whether ``word`` looks like an adjective and rarely ends a name."""
        return is_adjectival(word) and word not in self.owners and 10 * self.heads[word] <= self.uses[word]


def _slots(names: Iterable[tuple[str, ...]]) -> Iterator[set[tuple[str, ...]]]:
    """Yield the sets of phrases at the same place of otherwise equal names."""
    slots: dict[tuple[tuple[str, ...], tuple[str, ...]], set[tuple[str, ...]]] = defaultdict(set)
    for words in names:
        for start in range(len(words)):
            for stop in range(start + 1, min(start + _PHRASE, len(words)) + 1):
                if stop - start < len(words):
                    slots[words[:start], words[stop:]].add(words[start:stop])
    return (fillers for fillers in slots.values() if 2 <= len(fillers) <= _FILLERS)


def _attested_adjectives(names: _Names) -> dict[str, str]:
    """Return adjectives with their nouns that enough synonyms show."""
    found = {}
    for word, nouns in names.substitutions.items():
        candidates = [(count, noun) for noun, count in nouns.items() if word not in noun.split() and " " not in noun]
        if not candidates or not names.is_adjective(word):
            continue
        count, noun = max(candidates)
        alike = noun[:_ALIKE] == word[:_ALIKE]
        if count >= (_SUPPORT_ALIKE if alike else _SUPPORT) and 2 * count >= sum(count for count, _ in candidates):
            found[word] = noun
    return found


def _regular_adjectives(names: _Names) -> dict[str, str]:
    """Return adjectives with their nouns by their endings; the adjective must occur in a name of the ontology."""
    found = {}
    for noun in sorted(names.owners):
        if len(noun) < _SHORTEST_NOUN or " " in noun or names.is_adjective(noun):
            continue
        ending, adjectives = next((ending, made) for ending, made in _ADJECTIVES if noun.endswith(ending))
        for made in adjectives:
            word = noun[: len(noun) - len(ending)] + made
            if 0 < names.uses[word] <= _COMMON * names.uses[noun] and names.is_adjective(word):
                found[word] = noun
    return found


def _shortened(names: _Names) -> dict[str, str]:
    """Return last words with their whole names, if synonyms omit the rest and few other concepts end in that word."""
    found = {}
    for word, nouns in names.substitutions.items():
        candidates = [(count, noun) for noun, count in nouns.items() if noun.split()[-1] == word]
        if candidates and max(candidates)[0] >= max(_SHORTENED_SUPPORT, len(names.headed[word])):
            found[word] = max(candidates)[1]
    return found


def _readings(name: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a name as it is, and "cortex of kidney" also as "kidney cortex"."""
    words = _words(name)
    if not 0 < len(words) <= _LONGEST_NAME:
        return
    yield words
    if words.count("of") == 1:
        place = words.index("of")
        rest = tuple(word for word in words[place + 1 :] if word != "the")
        if place and rest:
            yield rest + words[:place]


def _words(name: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(fold(bare(name))))
