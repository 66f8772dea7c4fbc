"""Abbreviations defined in a text, such as "pulmonary embolism (PE)", by the rule of Schwartz and Hearst (2003)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_DEFINITION = re.compile(r"\(\s*([A-Z](?:[A-Za-z0-9-]{0,8}[A-Z0-9]))s?\s*[);,]")
"""Two to ten characters in brackets that begin with a capital and end with one or with a digit."""
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Definition:
    """``text[start:end]`` is the long form of ``short``."""

    short: str
    start: int
    end: int


def definitions(text: str) -> Iterator[Definition]:
    """Yield the abbreviations that ``text`` defines in brackets after their long form, in text order."""
    for found in _DEFINITION.finditer(text):
        end = len(text[: found.start()].rstrip())
        start = _long_form(found[1], text, end)
        if start is not None:
            yield Definition(found[1], start, end)


def _long_form(short: str, text: str, end: int) -> int | None:
    """Return the start of the long form that ends at ``end``; None if the letters of ``short`` do not occur there in order.

    From the right, each letter of the abbreviation matches the next occurrence in the text, and the first letter begins a word. The search
    covers at most twice as many words as letters, or five more.
    """
    letters = [letter.lower() for letter in short if letter.isalnum()]
    words = list(_WORD.finditer(text, 0, end))[-min(len(letters) + 5, 2 * len(letters)) :]
    if not words:
        return None
    place = end
    for index, letter in reversed(list(enumerate(letters))):
        place -= 1
        while place >= words[0].start() and (text[place].lower() != letter or (index == 0 and place > 0 and text[place - 1].isalnum())):
            place -= 1
        if place < words[0].start():
            return None
    return place
