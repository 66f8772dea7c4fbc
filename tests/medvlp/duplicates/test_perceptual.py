"""Perceptual hashes: re-encoded pictures are found, others are not, and no pair is missed."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from medvlp.duplicates.perceptual import MAXIMUM_DISTANCE, WORDS, find_matches, perceptual_hash


def picture(seed: int, side: int = 200) -> Image.Image:
    """Overlapping rectangles: like no other picture, with edges as real ones have."""
    generator = np.random.default_rng(seed)
    image = Image.new("L", (side, side))
    draw = ImageDraw.Draw(image)
    for left, top, width, height, grey in generator.integers(0, 256, (40, 5)).tolist():
        draw.rectangle((left - 56, top - 56, left + width // 3 - 56, top + height // 3 - 56), fill=grey)
    return image


def again(image: Image.Image, **options: object) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, **options)  # type: ignore[arg-type]
    return Image.open(buffer)


@pytest.mark.parametrize("seed", range(5))
def test_the_same_picture_in_other_bytes(seed: int) -> None:
    image = picture(seed)
    copies = [
        again(image, format="JPEG", quality=60),
        again(image.resize((130, 130)), format="PNG"),
        image.convert("RGB"),
        Image.fromarray(np.asarray(image).astype(np.uint16) << 8),
    ]
    hashes = np.stack([perceptual_hash(copy) for copy in copies])
    assert set(find_matches(hashes, perceptual_hash(image)[None])) == set(range(len(copies)))
    others = np.stack([perceptual_hash(picture(other)) for other in range(100, 120)])
    assert not find_matches(others, perceptual_hash(image)[None])


HASHES = st.lists(st.lists(st.sampled_from([0, 1, 3, 7, 15, 2**31]), min_size=WORDS, max_size=WORDS), min_size=1, max_size=12)


@given(queries=HASHES, references=HASHES)
def test_no_pair_is_missed_and_the_nearest_is_taken(queries: list[list[int]], references: list[list[int]]) -> None:
    first, second = (np.array(rows, dtype=np.uint32) for rows in (queries, references))
    distances = np.unpackbits((first[:, None] ^ second[None]).view(np.uint8), axis=-1).sum(axis=-1)
    matches = find_matches(first, second)
    assert set(matches) == set(np.flatnonzero(distances.min(axis=1) <= MAXIMUM_DISTANCE).tolist())
    assert all(distances[row, match] == distances[row].min() for row, match in matches.items())


def test_an_image_is_not_its_own_copy() -> None:
    hashes = np.zeros((3, WORDS), dtype=np.uint32)
    hashes[1] = 1
    hashes[2] = 2**32 - 1
    assert set(find_matches(hashes, hashes)) == {0, 1, 2}
    assert find_matches(hashes[[0, 2]], hashes[[0, 2]], same=True) == {}
    hashes[1, 1:] = 0
    assert find_matches(hashes, hashes, same=True) == {0: 1, 1: 0}
    assert find_matches(hashes[:0], hashes) == {}
