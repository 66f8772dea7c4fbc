"""Perceptual hashes: a picture keeps nearly the same hash after re-encoding or resizing. W words of a hash."""

from collections.abc import Iterator
from functools import cache

import numpy as np
from PIL import Image

from medvlp.data.rgb import decode_rgb

WORDS = 8
"""A hash is 8 words of 32 bits."""
MAXIMUM_DISTANCE = WORDS - 1
"""Maximum number of bits in which two hashes of one picture may differ. Such hashes share at least one word, so pairs are found by sorting
instead of comparing all pairs. Equal pictures of VQA-RAD and MedPix differ in at most 4 bits."""
_SIDE = 64
_FREQUENCIES = 16
_CHUNK = 4_000_000


def perceptual_hash(image: bytes | Image.Image) -> np.ndarray:
    """Return the hash of a picture, uint32 [W]: which of its lowest 16 x 16 frequencies are above their median (pHash, 256 bits).

    Args:
        image: see ``decode_rgb``.

    Raises:
        UndecodableImage: it cannot be used.
    """
    grey = decode_rgb(image).convert("L").resize((_SIDE, _SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    basis = _cosines()
    frequencies = (basis @ np.asarray(grey, dtype=np.float64) @ basis.T).ravel()
    # Rounded: machines sum in different orders, and rounding errors must not decide what is above the median.
    frequencies = frequencies.round(3)
    return np.packbits(frequencies > np.median(frequencies[1:])).view(">u4").astype(np.uint32)


def find_matches(queries: np.ndarray, references: np.ndarray, *, same: bool = False) -> dict[int, int]:
    """Find for each query the nearest reference that shows the same picture, if there is one.

    Args:
        queries: uint32 [Q, W].
        references: uint32 [R, W].
        same: whether both are the same unique hashes: then no hash matches itself.

    Returns:
        Row in ``references`` by row in ``queries``.
    """
    if not len(queries) or not len(references):
        return {}
    unique_queries, query_of = np.unique(queries, axis=0, return_inverse=True)
    unique_references, first_place = np.unique(references, axis=0, return_index=True)
    best_distance = np.full(len(unique_queries), MAXIMUM_DISTANCE + 1)
    best = np.zeros(len(unique_queries), dtype=np.int64)
    for query, reference in _candidates(unique_queries, unique_references):
        if same:
            query, reference = query[query != reference], reference[query != reference]
        # Not numpy's own bit count: it came with numpy 2, and the extra scispaCy needs an older one.
        distance = _ones()[(unique_queries[query] ^ unique_references[reference]).view(np.uint16)].sum(axis=1)
        order = np.lexsort((reference, distance, query))
        nearest = order[np.unique(query[order], return_index=True)[1]]
        better = nearest[distance[nearest] < best_distance[query[nearest]]]
        best_distance[query[better]] = distance[better]
        best[query[better]] = first_place[reference[better]]
    found = best_distance <= MAXIMUM_DISTANCE
    return {row: int(best[unique]) for row, unique in enumerate(query_of.ravel().tolist()) if found[unique]}


def _candidates(queries: np.ndarray, references: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs of rows with a word in common, a few million at a time."""
    for word in range(WORDS):
        order = np.argsort(references[:, word], kind="stable")
        sorted_words = references[order, word]
        first = np.searchsorted(sorted_words, queries[:, word], "left")
        counts = np.searchsorted(sorted_words, queries[:, word], "right") - first
        bounds = np.flatnonzero(np.diff(np.cumsum(counts) // _CHUNK, prepend=0))
        for rows in np.split(np.arange(len(queries)), bounds):
            number = counts[rows]
            query = np.repeat(rows, number)
            offset = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
            if len(query):
                yield query, order[first[query] + offset]


@cache
def _ones() -> np.ndarray:
    """Return the number of ones in every 16-bit word, uint8 [65536]."""
    return np.array([word.bit_count() for word in range(1 << 16)], dtype=np.uint8)


@cache
def _cosines() -> np.ndarray:
    """Return the lowest frequencies of a discrete cosine transform, [F, side]."""
    places = (np.arange(_SIDE) + 0.5) * np.pi / _SIDE
    return np.cos(np.arange(_FREQUENCIES)[:, None] * places)
