"""Images: what is cut out, and that nothing but a JPEG or PNG file comes through."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from medvlp.data.image import ImageConfig, decode_image
from medvlp.data.rgb import UndecodableImage
from tests.medvlp.tiny import encoded_image


def encode(pixels: np.ndarray, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, image_format, **options)
    return buffer.getvalue()


def gradient(height: int, width: int) -> np.ndarray:
    """Brightness rises to the right, red rises downwards."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, height)[:, None]
    pixels[..., 1:] = np.linspace(0, 255, width)[None, :, None]
    return pixels


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 96), (128, 64)])
def test_without_a_generator_it_resizes_the_shorter_side_and_crops_the_centre(height: int, width: int) -> None:
    decoded = decode_image(encode(gradient(height, width)), ImageConfig(size=32))
    scale = 32 / min(height, width)
    resized = Image.fromarray(gradient(height, width)).resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)
    left, top = (resized.width - 32) // 2, (resized.height - 32) // 2
    expected = np.asarray(resized.crop((left, top, left + 32, top + 32))).transpose(2, 0, 1)
    assert decoded.shape == (3, 32, 32)
    assert decoded.dtype == np.uint8
    # At a border the resize of a box reads the pixels outside of it too; a rounding apart elsewhere.
    assert np.abs(decoded.astype(int) - expected).max() <= 2


@settings(deadline=None, max_examples=60)
@given(side=st.integers(32, 90), surplus=st.integers(0, 60), wide=st.booleans(), seed=st.integers(0, 99), minimum=st.floats(0.1, 1))
def test_a_random_crop_keeps_its_share_and_stays_inside_the_centre(side: int, surplus: int, wide: bool, seed: int, minimum: float) -> None:
    # Inside the centred square colours tell the place; outside everything is white.
    height, width = (side, side + surplus) if wide else (side + surplus, side)
    pixels = np.full((height, width, 3), 255, np.uint8)
    top, left = -(-(height - side) // 2), -(-(width - side) // 2)
    pixels[top : top + side, left : left + side] = gradient(side, side) // 2
    decoded = decode_image(encode(pixels), ImageConfig(size=16, minimum_crop=minimum), np.random.default_rng(seed)).astype(float)
    inner = decoded[:, 3:-3, 3:-3]
    assert inner.max() < 132
    for channel, steps in ((0, np.diff(inner[0], axis=0)), (1, np.diff(inner[1], axis=1))):
        share = (steps.mean() * 16 / 127) ** 2
        assert minimum * 0.85 - 0.02 <= share <= 1.15, channel


def test_a_minimum_crop_of_one_is_no_augmentation() -> None:
    config = ImageConfig(size=8, minimum_crop=1.0)
    assert np.array_equal(decode_image(encoded_image(), config, np.random.default_rng(0)), decode_image(encoded_image(), config))


def test_crops_differ_between_draws() -> None:
    config = ImageConfig(size=16, minimum_crop=0.5)
    crops = {decode_image(encoded_image(), config, np.random.default_rng(seed)).tobytes() for seed in range(5)}
    assert len(crops) == 5


def test_a_large_jpeg_is_decoded_small_and_looks_the_same() -> None:
    pixels = gradient(900, 1200)
    decoded = decode_image(encode(pixels, "JPEG", quality=95), ImageConfig(size=32))
    exact = decode_image(encode(pixels), ImageConfig(size=32))
    assert np.abs(decoded.astype(int) - exact).mean() < 3


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "1", "CMYK", "I;16"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    if mode == "I;16":
        content = encode((gradient(32, 32)[..., 1].astype(np.uint16) << 8) + 17)
    else:
        buffer = io.BytesIO()
        Image.fromarray(gradient(32, 32)[..., [1, 1, 1]]).convert(mode).save(buffer, "JPEG" if mode == "CMYK" else "PNG")
        content = buffer.getvalue()
    columns = decode_image(content, ImageConfig(size=32)).mean((0, 1))
    expected = np.linspace(0, 255, 32)
    # Dithered to black and white, or to the colours of a palette, the brightness is right in the mean only.
    assert np.abs(columns - expected).mean() < (25 if mode in ("1", "P") else 3)


@pytest.mark.parametrize(
    "content", [b"", b"no image", encoded_image()[:60], encoded_image()[:-700], encoded_image(image_format="JPEG")[:200]]
)
def test_bytes_that_are_no_whole_image_are_undecodable(content: bytes) -> None:
    with pytest.raises(UndecodableImage) as caught:
        decode_image(content, ImageConfig(size=8))
    assert caught.value.reason == "image does not decode"


@settings(deadline=None, max_examples=200)
@given(
    image_format=st.sampled_from(["PNG", "JPEG"]),
    changes=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=20),
    length=st.integers(0, 3000),
)
def test_damaged_files_raise_nothing_else(image_format: str, changes: list[tuple[int, int]], length: int) -> None:
    content = bytearray(encoded_image(image_format=image_format))
    for place, value in changes:
        content[place % len(content)] = value
    try:
        decoded = decode_image(bytes(content[:length]), ImageConfig(size=8))
    except UndecodableImage:
        return
    assert decoded.shape == (3, 8, 8)
