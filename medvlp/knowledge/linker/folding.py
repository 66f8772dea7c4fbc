"""Folding: one spelling for what authors write in several ways, with the way back to the original text."""

import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_LOOKS_ALIKE = str.maketrans(
    {**dict.fromkeys("-\u2010\u2011\u2012\u2013\u2212\u2122\u00ae\u00a9", " "), **dict.fromkeys("\u2019\u02bc\u00b4`", "'")}
)
"""Authors use hyphens or spaces freely: "x-ray" is "x ray"."""
_GREEK = {"LAMDA": "lambda", "FINAL SIGMA": "sigma"}
"""Unicode's names that differ from those of the letters in English."""


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text and, for each of its characters, where it comes from."""

    text: str
    starts: "array[int] | None" = None
    """Where the character starts in the original; none if the lengths agree character by character."""
    ends: "array[int] | None" = None

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of the original text that ``text[start:end]`` stands for; ``start`` is less than ``end``."""
        if self.starts is None or self.ends is None:
            return start, end
        return self.starts[start], self.ends[end - 1]


def fold(text: str) -> str:
    """Convert ``text`` to lower case, hyphens to spaces, and quotes to straight ones.

    A letter and its combining accents become one character, invisible characters are left out, and ligatures and Greek letters are spelt
    out ("β" is "beta").
    """
    return folded(text).text


def folded(text: str) -> Folded:
    """Do the same as ``fold``, and say where each character comes from."""
    if text.isascii():
        return Folded(unhyphenated(text).lower())
    starts, ends = array("l"), array("l")
    characters: list[str] = []
    for start, end in _letters(text):
        for character in _folded_letter(text[start:end]):
            characters.append(character)
            starts.append(start)
            ends.append(end)
    return Folded("".join(characters), starts, ends)


def unhyphenated(text: str) -> str:
    """Convert hyphens to spaces and quotes to straight ones; keep letter case and every offset."""
    return text.translate(_LOOKS_ALIKE)


def unaccented(text: str) -> str:
    """Remove the accents of all letters."""
    return "".join(part for part in unicodedata.normalize("NFKD", text) if not unicodedata.combining(part))


def _letters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the range of each character with the combining ones that follow it."""
    start = 0
    for place in range(1, len(text) + 1):
        if place == len(text) or not unicodedata.combining(text[place]):
            yield start, place
            start = place


@lru_cache(maxsize=4096)
def _folded_letter(letter: str) -> str:
    return "".join(map(_spelt_out, unicodedata.normalize("NFKC", unhyphenated(letter)))).lower()


def _spelt_out(character: str) -> str:
    if unicodedata.category(character) == "Cf":
        return ""
    name = unicodedata.name(unaccented(character)[:1] or character, "")
    if name.startswith("GREEK ") and " LETTER " in name:
        letter = name.partition(" LETTER ")[2]
        return _GREEK.get(letter, letter.lower())
    return unhyphenated(character)
