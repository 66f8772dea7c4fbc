"""Image files: every user of an image sees the picture that a viewer shows."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps

from medvlp.data.image import ImageConfig, decode_image
from medvlp.data.rgb import TOO_MANY_PIXELS, UndecodableImage, decode_rgb, eight_bits, file_extension
from medvlp.duplicates.perceptual import find_matches, perceptual_hash


def scene(width: int = 80, height: int = 56) -> Image.Image:
    """A picture of squares that is different under every turn and reflection."""
    noise = np.random.default_rng(0).integers(0, 256, (7, 10), np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.NEAREST).convert("RGB")


def saved(image: Image.Image, image_format: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)  # type: ignore[arg-type]
    return buffer.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(header: tuple[int, int, int, int], rows: bytes, *extra: bytes) -> bytes:
    """A PNG file of its header (width, height, bits, colour type), its unfiltered rows and more chunks."""
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", *header, 0, 0, 0)),
            *extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def png_of_16_bits(samples: np.ndarray, *extra: bytes) -> bytes:
    """A PNG file of uint16 [H, W, C]: Pillow cannot write colours of 16 bits."""
    height, width, channels = samples.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
    return png((width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels]), rows, *extra)


def oriented(image: Image.Image, orientation: int, image_format: str) -> bytes:
    """A file whose EXIF orientation says how to turn it to get ``image``."""
    undo = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = undo
    turned = image.copy()
    turned.info["exif"] = exif.tobytes()
    exif[ExifTags.Base.Orientation] = orientation
    return saved(ImageOps.exif_transpose(turned), image_format, exif=exif.tobytes(), quality=95)


@pytest.mark.parametrize("image_format", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(orientation: int, image_format: str) -> None:
    content = oriented(scene(), orientation, image_format)
    assert np.abs(np.asarray(decode_rgb(content)).astype(int) - np.asarray(scene())).mean() < 3
    # Training, inference and the hash see the same.
    config = ImageConfig(size=16)
    trained = decode_image(content, config).astype(int)
    assert np.abs(trained - decode_image(saved(scene()), config)).mean() < 3
    assert np.abs(trained - decode_image(Image.open(io.BytesIO(content)), config)).mean() < 3  # a JPEG file may be decoded small
    assert find_matches(perceptual_hash(content)[None], perceptual_hash(scene())[None])


def test_a_damaged_or_unknown_orientation_turns_nothing() -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 9
    for data in (exif.tobytes(), b"Exif\0\0MM\0*\xff\xff\xff\xff", b"Exif\0\0no TIFF header"):
        assert np.array_equal(decode_rgb(saved(scene(), exif=data)), scene())


def ghost() -> np.ndarray:
    """RGBA [H, W, 4]: red, half transparent black, fully transparent black."""
    pixels = np.zeros((3, 6, 4), np.uint8)
    pixels[0], pixels[1] = (200, 0, 0, 255), (0, 0, 0, 128)
    return pixels


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "La", "RGBa"])
def test_alpha_is_laid_on_white(mode: str) -> None:
    rgba = Image.fromarray(ghost())
    image = rgba.convert("LA").convert("La") if mode == "La" else rgba.convert(mode)
    shown = np.asarray(decode_rgb(image if mode in ("PA", "La", "RGBa") else saved(image))).astype(int)
    assert np.abs(shown[0] - (60 if mode in ("LA", "La") else (200, 0, 0))).max() <= 1
    assert np.abs(shown[1] - 127).max() <= 1
    assert (shown[2] == 255).all()


def test_palettes_and_single_colours_may_be_transparent() -> None:
    palette = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "P")
    palette.putpalette([0, 0, 0, 10, 20, 30, 0, 0, 0])
    for transparency, expected in ((0, [255, 10, 0]), (b"\x00\xff\x80", [255, 10, 127])):
        assert np.asarray(decode_rgb(saved(palette, transparency=transparency)))[0, :, 0].tolist() == expected
    grey = Image.fromarray(np.array([[0, 7]], np.uint8))
    assert np.asarray(decode_rgb(saved(grey, transparency=0)))[0, :, 0].tolist() == [255, 7]
    assert np.asarray(decode_rgb(saved(grey.convert("RGB"), transparency=(7, 7, 7))))[0, :, 0].tolist() == [0, 255]
    assert np.asarray(decode_rgb(saved(grey.convert("1"), transparency=0)))[0, :, 0].tolist() == [255, 255]
    deep = png_of_16_bits(np.array([[[0], [4095]]]), chunk(b"tRNS", struct.pack(">H", 0)))
    assert np.asarray(decode_rgb(deep))[0, :, 0].tolist() == [255, 255]
    deep = png_of_16_bits(np.array([[[0, 0, 1], [0, 0, 4095]]]), chunk(b"tRNS", struct.pack(">HHH", 0, 0, 1)))
    assert np.asarray(decode_rgb(deep))[0].tolist() == [[255, 255, 255], [0, 0, 255]]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 16])
def test_the_bits_of_a_16_bit_png_that_are_used_are_shown(bits: int, channels: int) -> None:
    ramp = np.linspace(0, 2**bits - 1, 256).round().astype(np.uint16)
    samples = np.repeat(ramp.reshape(16, 16, 1), channels, axis=2)
    if channels in (2, 4):
        samples[..., -1] = 65535
    shown = np.asarray(decode_rgb(png_of_16_bits(samples))).astype(int)
    assert np.abs(shown - np.arange(256).reshape(16, 16, 1)).max() <= 1
    if channels in (2, 4):
        samples[8:, :, -1] = 0
        assert (np.asarray(decode_rgb(png_of_16_bits(samples)))[8:] == 255).all()


def test_a_dark_picture_of_16_bits_is_as_dark_as_its_twin_of_8() -> None:
    dark = (np.arange(16, dtype=np.uint16) * 4).reshape(4, 4)
    assert np.array_equal(np.asarray(decode_rgb(Image.fromarray(dark)))[..., 0], dark)


def test_samples_of_any_type_become_8_bits() -> None:
    ramp = np.arange(0, 256, 5)
    for values in (ramp.astype(np.int32) * 257, ramp.astype(">u2"), ramp.astype(np.float32), ramp / 255, ramp * 16.0 + 15):
        assert np.abs(eight_bits(values).astype(int) - ramp).max() <= 1, values.dtype
    assert eight_bits(np.array([-1000, 0, 1000])).tolist() == [0, 128, 255]
    assert eight_bits(np.array([np.nan, 0.0, 255.0, np.inf])).tolist() == [0, 0, 255, 0]
    assert eight_bits(np.zeros((0, 2))).shape == (0, 2)


@pytest.mark.parametrize("mode", ["1", "L", "I", "I;16", "I;16L", "I;16B", "F", "P", "RGBX", "CMYK", "YCbCr", "HSV"])
def test_a_pillow_image_of_any_mode_is_shown(mode: str) -> None:
    grey = Image.fromarray(np.repeat(np.array([0, 80, 255], np.uint8), 12).reshape(6, 6))
    image = grey.convert("RGB").convert(mode) if mode in ("RGBX", "CMYK", "YCbCr", "HSV") else grey.convert(mode)
    expected = np.asarray(grey.convert("1").convert("L") if mode == "1" else grey)
    assert np.abs(np.asarray(decode_rgb(image))[..., 0].astype(int) - expected).max() <= 2


def test_a_file_of_several_pictures_shows_its_first() -> None:
    content = saved(scene(), "MPO", save_all=True, quality=95, append_images=[Image.new("RGB", (80, 56), "white")])
    assert Image.open(io.BytesIO(content)).format == "MPO"
    assert np.abs(np.asarray(decode_rgb(content)).astype(int) - np.asarray(scene())).mean() < 3
    assert file_extension(content) == "jpg"
    assert decode_image(content, ImageConfig(size=8)).shape == (3, 8, 8)


@pytest.mark.parametrize("side", [9_000, 14_000, 60_000])
def test_a_bomb_is_called_by_its_name(side: int) -> None:
    content = png((side, side, 8, 2), bytes(1000))
    jpeg = bytearray(saved(Image.new("L", (8, 8)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0")
    jpeg[frame + 5 : frame + 9] = struct.pack(">HH", side, side)
    for bomb in (content, bytes(jpeg)):
        with pytest.raises(UndecodableImage) as caught:
            decode_rgb(bomb)
        assert caught.value.reason == TOO_MANY_PIXELS == "image has more than 80 million pixels"


@pytest.mark.parametrize("image_format", ["GIF", "TIFF", "BMP", "WEBP"])
def test_another_format_is_called_by_its_name(image_format: str) -> None:
    with pytest.raises(UndecodableImage, match=f"image is {image_format}, neither JPEG nor PNG"):
        decode_rgb(saved(scene(), image_format))
