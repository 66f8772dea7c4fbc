"""Spelling variants of a name: folding, and the inflections, word orders and spellings of English and medical Latin."""

import re
from collections.abc import Iterator

_ABBREVIATION_LENGTH = 4
_MINIMUM_LENGTH = 2
_ADJECTIVAL = ("al", "ar", "ic", "ary", "ine", "ous", "an", "ac")
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_VOWELS = frozenset("aeiou")

_LOOKS_ALIKE = str.maketrans({**dict.fromkeys("-\u2010\u2011\u2012\u2013", " "), "\u2019": "'"})
"""Authors use hyphens or spaces freely: "x-ray" is "x ray"."""

_LATIN_PLURALS = (
    ("nx", "nges"),
    ("ix", "ices"),
    ("ex", "ices"),
    ("is", "es"),
    ("um", "a"),
    ("us", "i"),
    ("on", "a"),
    ("ma", "mata"),
    ("a", "ae"),
)
"""Ending of the singular, ending of the plural; the first match is used."""

_QUALIFIER = re.compile(r"\s*(?:\([^()]*\)|\[[^\[\]]*\]|,?\s+NOS)\s*$")
"""Qualifiers that a terminology adds to a name but no author writes: "(disorder)", "[VI]", "NOS"."""

_BRITISH = tuple(
    (re.compile(pattern), spelling)
    for pattern, spelling in (
        (r"edema", "oedema"),
        (r"esophag", "oesophag"),
        (r"diarrhea", "diarrhoea"),
        (r"hem(?=a|o|i)", "haem"),
        (r"emia\b", "aemia"),
        (r"anem", "anaem"),
        (r"ischem", "ischaem"),
        (r"tumor\b", "tumour"),
        (r"cecum", "caecum"),
        (r"celiac", "coeliac"),
        (r"fetal", "foetal"),
        (r"leukemi", "leukaemi"),
        (r"center", "centre"),
        (r"fiber", "fibre"),
    )
)


def fold(text: str) -> str:
    """Convert ``text`` to lower case, hyphens to spaces and quotes to straight ones; character by character, to keep the offsets.

    ``str.lower`` makes two characters of "İ", and spells "Σ" differently at the end of a word: a name and its mention would not match.
    """
    return _lower(text.translate(_LOOKS_ALIKE))


def unhyphenated(text: str) -> str:
    """Do the same as ``fold`` but keep letter case."""
    return text.translate(_LOOKS_ALIKE)


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    lowered = (character.lower() for character in text)
    return "".join(new if len(new) == 1 else old for old, new in zip(text, lowered, strict=True))


def is_abbreviation(name: str) -> bool:
    """Return whether ``name`` is valid only in its exact letter case: at most four characters, all upper-case ("CT", "CTs")."""
    stem = name[:-1] if name.endswith("s") and len(name) > _MINIMUM_LENGTH else name
    return len(stem) <= _ABBREVIATION_LENGTH and stem.isupper()


def is_adjectival(word: str) -> bool:
    """Return whether ``word`` ends like an adjective of medical Latin: "renal", "pulmonary"."""
    return word.endswith(_ADJECTIVAL)


def can_be_looked_for(name: str) -> bool:
    """Return whether ``name`` has two characters or more, including a letter."""
    return len(name) >= _MINIMUM_LENGTH and any(character.isalpha() for character in name)


def bare(name: str) -> str:
    """Remove the trailing qualifiers of a terminology from ``name``, if two words are left: "septum (telencephalon)" is not "septum"."""
    while (shorter := _QUALIFIER.sub("", name)) != name and " " in shorter:
        name = shorter
    return name


def variants(name: str) -> Iterator[str]:
    """Yield variants of ``name``: bare, reordered ("head of femur", "femur head"), respelled ("oedema"), in the plural."""
    forms = dict.fromkeys((name, bare(name)))
    forms |= dict.fromkeys(order for form in tuple(forms) for order in _orders(form))
    if not is_abbreviation(name):
        forms |= dict.fromkeys(spelling for form in tuple(forms) for spelling in _spellings(form))
    yield from (form for form in forms if form != name)
    for form in forms:
        yield from plurals(form)


def plurals(name: str) -> Iterator[str]:
    """Yield the English plural of ``name`` and, for a Latin ending, the Latin one: "atriums" and "atria".

    For "lobe of lung" the word before "of" gets a plural too.
    """
    yield _english_plural(name)
    head, of, rest = name.partition(" of ")
    if of and head:
        yield _english_plural(head) + of + rest
    for singular, plural in _LATIN_PLURALS:
        if name.endswith(singular) and len(name) > len(singular) + _MINIMUM_LENGTH:
            yield name[: -len(singular)] + plural
            break


def _english_plural(name: str) -> str:
    if name.isupper():
        return name + "s"
    if name.endswith(_SIBILANTS):
        return name + "es"
    if name.endswith("y") and name[-2:-1] not in _VOWELS:
        return name[:-1] + "ies"
    return name + "s"


def _orders(name: str) -> Iterator[str]:
    parts = name.split(" of ")
    if len(parts) == 2 and all(parts):
        head, rest = parts[0], parts[1].removeprefix("the ")
        yield f"{rest} {head}"
        yield f"{head} of the {rest}"
        yield f"{head} of {rest}"


def _spellings(name: str) -> Iterator[str]:
    for pattern, spelling in _BRITISH:
        if spelling in name:
            continue
        respelled = pattern.sub(spelling, name)
        if respelled != name:
            yield respelled
    if "'s " in name:
        yield name.replace("'s ", " ")
        yield name.replace("'s ", "s ")
