"""Answers as classes: how an answer is spelled the same way everywhere, and the vocabulary that a model chooses from."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from medvlp.errors import DataError

UNKNOWN = -1
"""Label of an answer outside the vocabulary: never right."""

_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_COMMA_IN_NUMBER = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
_ARTICLES = frozenset({"a", "an", "the"})
_NUMBERS = {
    word: str(number) for number, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"))
} | {"none": "0"}


def normalise_answer(answer: str) -> str:
    """An answer as the evaluation of VQA v2 compares it: lower case, without articles and punctuation, digits for small numbers.

    Punctuation that touches a space goes, between two characters it becomes a space; a period stays before a digit. The
    contractions of the original (dont -> don't) are left out: no answer of the medical corpora has one. An answer that is
    nothing but an article stays.
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


@dataclass(frozen=True)
class AnswerVocabulary:
    """The answers that a model can give; an answer's place is its label."""

    answers: tuple[str, ...]
    """Normalised, each once."""

    @classmethod
    def build(cls, answers: Iterable[str], minimum_count: int = 1) -> "AnswerVocabulary":
        """All answers given at least ``minimum_count`` times, the commonest first, ties in alphabetical order.

        Raises:
            DataError: there are none.
        """
        counts = Counter(normalise_answer(answer) for answer in answers)
        del counts[""]
        kept = sorted((answer for answer, count in counts.items() if count >= minimum_count), key=lambda answer: (-counts[answer], answer))
        if not kept:
            raise DataError(f"no answer is given at least {minimum_count} times: are these the shards of questions?")
        return cls(tuple(kept))

    def __len__(self) -> int:
        return len(self.answers)

    def label(self, answer: str) -> int:
        """The label of ``answer`` however it is spelled; ``UNKNOWN`` if it is not in the vocabulary."""
        return self._labels.get(normalise_answer(answer), UNKNOWN)

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {answer: label for label, answer in enumerate(self.answers)}
