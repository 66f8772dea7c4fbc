"""Normalisation of answers to one spelling."""

import re

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {
    word: str(number) for number, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
} | {"none": "0"}


def normalise_answer(answer: str) -> str:
    """Normalise an answer as in the evaluation of VQA v2: lower case, without articles and punctuation, digits for small numbers.

    Punctuation next to a space is removed, between two characters it becomes a space; a period stays before a digit. The contractions of
    the original (dont -> don't) are omitted: no answer of the medical corpora has one. An answer that is only an article stays.
    """
    text = " ".join(answer.lower().split())
    joined = bool(_COMMA_IN_NUMBER.search(text))
    spelled = text
    for mark in _PUNCTUATION:
        apart = joined or f"{mark} " in text or f" {mark}" in text
        spelled = spelled.replace(mark, "" if apart else " ")
    words = _PERIOD.sub("", spelled).split()
    kept = [_NUMBERS.get(word, word) for word in words]
    return " ".join([word for word in kept if word not in _ARTICLES] or words)
