"""Splits where a corpus has none of its own, or only some."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from medvlp.data.randomness import Purpose, keyed_seed

T = TypeVar("T")

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_ORDER = (TRAIN, VALIDATION, TEST)
_SYNONYMS = {"val": VALIDATION, "valid": VALIDATION, "validate": VALIDATION, "dev": VALIDATION}


def split_name(name: str) -> str:
    """One name for each split, however a corpus calls it."""
    return _SYNONYMS.get(name.strip().lower(), name.strip().lower())


def deal(rows: Iterable[tuple[T, str, str]], validation_share: float, seed: int = 0) -> dict[str, list[T]]:
    """Rows by split; nobody is in two of those that are dealt here.

    Args:
        rows: what is dealt, the group that stays together (a patient, a case, an image), and the split if the corpus states one.
        validation_share: of the groups without a split: a hash of (seed, group) decides, so that rows which are added move no others.
        seed: another one deals otherwise.
    """
    rows = list(rows)
    stated = {group: split for _, group, split in rows if split}
    dealt: dict[str, list[T]] = defaultdict(list)
    for row, group, split in rows:
        dealt[split or stated.get(group) or _drawn(group, validation_share, seed)].append(row)
    return ordered(dealt)


def ordered(splits: Mapping[str, T]) -> dict[str, T]:
    """Training first, then validation, test and whatever else there is."""
    known = [split for split in _ORDER if split in splits]
    return {split: splits[split] for split in [*known, *sorted(set(splits) - set(_ORDER))]}


def shuffled(rows: list[T], *, validation: int, test: int, seed: int) -> dict[str, list[T]]:
    """The last rows of a shuffle by Python's generator are for validation and test, as ARL's preparation does it."""
    order = list(range(len(rows)))
    random.Random(seed).shuffle(order)
    held_out = min(validation + test, len(rows))
    places = {
        TRAIN: order[: len(rows) - held_out],
        VALIDATION: order[len(rows) - held_out : len(rows) - min(test, len(rows))],
        TEST: order[len(rows) - min(test, len(rows)) :],
    }
    return {split: [rows[place] for place in chosen] for split, chosen in places.items()}


def _drawn(group: str, validation_share: float, seed: int) -> str:
    return VALIDATION if keyed_seed(seed, Purpose.CORPUS, "split", group) < validation_share * 2**64 else TRAIN
