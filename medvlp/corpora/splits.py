"""Splits for corpora without official ones, or with only some."""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from medvlp.data.randomness import Purpose, keyed_seed
from medvlp.errors import DataError

T = TypeVar("T")

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_ORDER = (TRAIN, VALIDATION, TEST)
_SYNONYMS = {
    **dict.fromkeys(("training", "trn"), TRAIN),
    **dict.fromkeys(("val", "valid", "validate", "validating", "dev", "devel", "development"), VALIDATION),
    **dict.fromkeys(("testing", "tst"), TEST),
}
_SUFFIX = re.compile(r"[\s_.-]*(?:set|split|data)$")
"""What may follow the word: "training set", "test_split"."""
_NAME = re.compile(r"\w(?:[\w .-]{0,38}\w)?")
"""Valid split names; file names begin with them."""


def split_name(name: str) -> str:
    """Return the standard name of a split, or the name itself in lower case; "" if the corpus states none."""
    plain = name.strip().lower()
    short = _SUFFIX.sub("", plain)
    known = _SYNONYMS.get(short, short)
    return known if known in _ORDER else plain


def is_split_name(name: str) -> bool:
    """Return whether a name can be that of a split: it becomes a part of file names."""
    return _NAME.fullmatch(name) is not None


def check_split(name: str, where: str = "") -> str:
    """Check the name of a split and return it.

    Raises:
        DataError: it is not a plain name, but for example a path.
    """
    if not is_split_name(name):
        raise DataError(
            f"{where or 'a corpus'} has the split {name!r}: "
            "a split name has at most 40 letters, digits, spaces, dots, hyphens and underscores; rename it"
        )
    return name


def deal(rows: Iterable[tuple[T, str, str]], validation_share: float, seed: int = 0) -> dict[str, list[T]]:
    """Divide rows between splits; no group is in two of the splits assigned here.

    Args:
        rows: each with its group, which stays together (a patient, a case, an image), and its split if the corpus states one.
        validation_share: fraction of the groups without a split: a hash of (seed, group) decides, so that added rows move no others.
        seed: seed of the hash.
    """
    rows = list(rows)
    stated = {group: split for _, group, split in rows if split}
    divided: dict[str, list[T]] = defaultdict(list)
    for row, group, split in rows:
        divided[split or stated.get(group) or _drawn(group, validation_share, seed)].append(row)
    return ordered(divided)


def drawn_by_group(validation_share: float) -> str:
    """Return in words how ``deal`` makes the splits of rows that state none."""
    return f"drawn by a hash of the group, {validation_share:.0%} for validation"


def ordered(splits: Mapping[str, T]) -> dict[str, T]:
    """Sort splits: training first, then validation, test and the others."""
    known = [split for split in _ORDER if split in splits]
    return {split: splits[split] for split in [*known, *sorted(set(splits) - set(_ORDER))]}


def shuffled(rows: list[T], *, validation: int, test: int, seed: int) -> dict[str, list[T]]:
    """Take validation and test from the end of a shuffle by Python's generator, as in ARL's preparation."""
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
