"""Answers as classes: the vocabulary that a model chooses from."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from medvlp.errors import DataError
from medvlp.metrics.answers import normalise_answer

UNKNOWN = -1
"""Label of an answer outside the vocabulary: never correct."""


@dataclass(frozen=True)
class AnswerVocabulary:
    """The answers that a model can give; the index of an answer is its label."""

    answers: tuple[str, ...]
    """Normalised and unique."""

    @classmethod
    def build(cls, answers: Iterable[str], minimum_count: int = 1) -> "AnswerVocabulary":
        """Collect all answers given at least ``minimum_count`` times, the most common first, ties in alphabetical order.

        Raises:
            DataError: there are none.
        """
        counts = Counter(normalise_answer(answer) for answer in answers)
        del counts[""]
        kept = sorted((answer for answer, count in counts.items() if count >= minimum_count), key=lambda answer: (-counts[answer], answer))
        if not kept:
            raise DataError(f"no answer occurs at least {minimum_count} times: are these shards of questions?")
        return cls(tuple(kept))

    def __len__(self) -> int:
        return len(self.answers)

    def label(self, answer: str) -> int:
        """Return the label of ``answer`` after normalisation; ``UNKNOWN`` if it is not in the vocabulary."""
        return self._labels.get(normalise_answer(answer), UNKNOWN)

    @cached_property
    def _labels(self) -> dict[str, int]:
        return {answer: label for label, answer in enumerate(self.answers)}
