"""Random draws that depend on their purpose, never on the process or the time."""

import hashlib
from enum import StrEnum

import numpy as np


class Purpose(StrEnum):
    """The purpose of a draw; part of its key, so that no two uses share a stream of numbers."""

    SHARD_ORDER = "shard order"
    ROW_ORDER = "row order"
    CAPTION = "caption"
    MASKING = "masking"
    AUGMENTATION = "augmentation"
    PARTNERS = "partners"
    NEGATIVES = "negatives"
    MODEL = "model"
    CORPUS = "corpus"
    SWEEP = "sweep"


def keyed_seed(seed: int, purpose: Purpose, *key: int | str) -> int:
    """Return a 64-bit seed from (seed, purpose, key): the same on every machine and Python version."""
    text = "\x1f".join([str(seed), purpose.value, *map(str, key)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def keyed_generator(seed: int, purpose: Purpose, *key: int | str) -> np.random.Generator:
    """Return a numpy generator for one purpose and key."""
    return np.random.Generator(np.random.Philox(keyed_seed(seed, purpose, *key)))
