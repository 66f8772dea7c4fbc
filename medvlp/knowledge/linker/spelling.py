"""Spelling variants of a name: the inflections, word orders and spellings of English and medical Latin."""

import re
from collections.abc import Iterator

from medvlp.knowledge.linker.folding import unaccented

_ABBREVIATION_LENGTH = 4
_MINIMUM_LENGTH = 2
_ADJECTIVAL = ("al", "ar", "ic", "ary", "ine", "ous", "an", "ac")
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_VOWELS = frozenset("aeiou")

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

_EPONYM = re.compile(
    r"([A-Z][^\W\d_]*[a-rt-z])"
    r"(\s(?:disease|syndrome|sign|tumou?r|palsy|lymphoma|sarcoma|chorea|cyst|an[ae]?emia|ataxia|o?esophagus|fracture|thyroiditis|triad"
    r"|encephalopathy)s?\b.*)$"
)
"""A person's name and what is named after them: "Crohn disease"."""

_FUNCTION_WORDS = re.compile(
    r"a|all|an|and|are|as|at|be|but|by|can|do|for|had|has|he|her|him|his|if|in|is|it|may|me|my|no|nor|not|of|on|or|our|out|she|so|the|to|up|us"
    r"|was|we|who|with",
    re.IGNORECASE,
)

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


def is_abbreviation(name: str) -> bool:
    """Return whether ``name`` is valid only in its exact letter case.

    At most four characters, all upper-case ("CT", "CTs"), or two of which one is upper-case, as in the symbols of elements ("As").
    """
    stem = name[:-1] if name.endswith("s") and len(name) > _MINIMUM_LENGTH else name
    return len(stem) <= _ABBREVIATION_LENGTH and (stem.isupper() or is_symbol(name))


def is_symbol(name: str) -> bool:
    """Return whether ``name`` has two letters in mixed case, like the symbol of an element: "As", "In"."""
    return len(name) == _MINIMUM_LENGTH and name.isalpha() and name.istitle()


def is_function_word(word: str) -> bool:
    """Return whether ``word`` is spelt like a word that any English sentence may contain: "ALL", "as"."""
    return _FUNCTION_WORDS.fullmatch(word) is not None


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
    """Yield variants of ``name``: bare, without accents, reordered ("femur head"), respelled ("oedema"), in the plural."""
    forms = dict.fromkeys((name, bare(name)))
    forms |= dict.fromkeys(unaccented(form) for form in tuple(forms) if not form.isascii())
    forms |= dict.fromkeys(order for form in tuple(forms) for order in _orders(form))
    if not is_abbreviation(name):
        forms |= dict.fromkeys(spelling for form in tuple(forms) for spelling in _spellings(form))
    yield from (form for form in forms if form != name)
    if not is_symbol(name):
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
    elif eponym := _EPONYM.match(name):
        yield f"{eponym[1]}'s{eponym[2]}"
        yield f"{eponym[1]}s{eponym[2]}"
