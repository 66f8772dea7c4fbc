"""Decode image files: preparation, duplicate detection, training and inference all see the same picture."""

import io
import struct
import zlib

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

MAXIMUM_PIXELS = 80_000_000
TOO_MANY_PIXELS = f"image has more than {MAXIMUM_PIXELS // 10**6} million pixels"

_FORMATS = ("JPEG", "PNG")
"""JPEG includes MPO, in which phones store a second picture after the first; the second is ignored."""
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
DECODER_ERRORS = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error, zlib.error)
"""What decoders raise on damaged files."""
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes an EXIF orientation. ``ImageOps.exif_transpose`` fails on files whose other EXIF data are damaged: it writes them again."""
_RAW_BYTES = {"LA;16B": ("RGBA",), "RGB;16B": ("RGB;16B", "RGB;16L"), "RGBA;16B": ("RGBA;16B", "RGBA;16L")}
"""Raw modes of 16-bit PNG files of which Pillow keeps only the high bytes, with the raw modes that give the bytes: high and low in turn, or
the high ones and then the low ones."""


class UndecodableImage(Exception):
    """The image cannot be used; has a short reason for the counts."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


def decode_rgb(image: bytes | Image.Image | np.ndarray, *, draft_side: int | None = None) -> Image.Image:
    """Return a picture as a viewer shows it, as an RGB image with 8 bits per channel.

    It is turned upright as its EXIF orientation says. Transparent parts are laid on white. For samples of more than 8 bits see
    ``eight_bits``.

    Args:
        image: the content of a JPEG or PNG file, a Pillow image of any mode, or samples [H, W] or [H, W, C] of grey, grey and alpha, RGB or
            RGBA. A Pillow image of a JPEG or PNG file is read from the file, unless it was changed: Pillow itself reads 8 bits of 16.
        draft_side: a large JPEG file may be decoded at 1/2, 1/4 or 1/8 of its size, if both sides keep at least this many pixels.

    Raises:
        UndecodableImage: the file is damaged, of another format, or has more than ``MAXIMUM_PIXELS``, or the array has another shape.
    """
    try:
        if isinstance(image, np.ndarray):
            return _from_array(image)
        if isinstance(image, Image.Image):
            content = _file_content(image)
            if content is None:
                return _rgb(image)
            image = content
        opened = _open(image)
        if draft_side is not None:
            opened.draft("RGB", (draft_side, draft_side))
        return _rgb(opened, _sixteen_bit_samples(image, opened))
    except Image.DecompressionBombError as error:
        raise UndecodableImage(TOO_MANY_PIXELS) from error
    except DECODER_ERRORS as error:
        raise UndecodableImage("image does not decode") from error


def file_extension(encoded: bytes) -> str:
    """Return the extension of a file that ``decode_rgb`` accepts: "png" or "jpg"."""
    return "png" if encoded.startswith(_PNG_SIGNATURE) else "jpg"


def eight_bits(samples: np.ndarray) -> np.ndarray:
    """Convert samples of any type to uint8 of the same shape.

    The range from black to white is the smallest one that holds the samples: 0 to 2^n - 1 with n at least 8, as files of 16 bits often hold
    12; 0 to 1 for floats that are not greater; from the least to the greatest sample if some are negative. NaN and infinity count as 0.
    """
    if samples.dtype == np.uint8 or not samples.size:
        return samples.astype(np.uint8)
    whole = samples.dtype.kind in "iu"
    values = samples if whole else np.nan_to_num(samples, nan=0, posinf=0, neginf=0)
    least, greatest = values.min().item(), values.max().item()
    if least < 0:
        halves = values / 2 - least / 2  # the difference of two floats can be infinite
        return (halves * (255 / (halves.max().item() or 1))).round().astype(np.uint8)
    if greatest <= 1 and not whole:
        return (values * 255).round().astype(np.uint8)
    bits = max(8, int(greatest).bit_length())
    return (values >> (bits - 8) if whole else values / 2.0 ** (bits - 8)).astype(np.uint8)


def _open(encoded: bytes) -> ImageFile:
    """Read the header of an image file.

    Raises:
        UndecodableImage: it has another format, or too many pixels.
    """
    try:
        image = Image.open(io.BytesIO(encoded), formats=_FORMATS)
    except UnidentifiedImageError:
        raise UndecodableImage(f"image is {Image.open(io.BytesIO(encoded)).format}, neither JPEG nor PNG") from None
    _check_pixels(image.width * image.height)
    return image


def _check_pixels(count: int) -> None:
    if not 0 < count <= MAXIMUM_PIXELS:
        raise UndecodableImage(TOO_MANY_PIXELS if count else "image has no pixels")


def _file_content(image: Image.Image) -> bytes | None:
    """Return the content of the JPEG or PNG file of a Pillow image; None if its pixels were read already and may have been changed."""
    if not isinstance(image, ImageFile) or image.format not in (*_FORMATS, "MPO") or not image.tile or image.fp is None or image.tell():
        return None
    position = image.fp.tell()
    image.fp.seek(0)
    content: bytes = image.fp.read()
    image.fp.seek(position)
    return content


def _from_array(samples: np.ndarray) -> Image.Image:
    """Return an RGB image of samples [H, W] or [H, W, C]."""
    channels = 1 if samples.ndim == 2 else samples.shape[-1] if samples.ndim == 3 else 0
    if samples.dtype.kind not in "buif" or channels not in (1, 2, 3, 4):
        raise UndecodableImage(f"array of {samples.dtype} and shape {samples.shape}, not numbers of shape [H, W], [H, W, 3] or [H, W, 4]")
    _check_pixels(samples.shape[0] * samples.shape[1])
    if channels in (2, 4) and samples.dtype not in (np.uint8, np.uint16):
        raise UndecodableImage(f"array of {samples.dtype} with alpha, which must be uint8 or uint16")
    return _from_samples(samples.reshape(*samples.shape[:2], channels), None)


def _rgb(image: Image.Image, samples: np.ndarray | None = None) -> Image.Image:
    """Convert to an upright RGB image; ``samples`` are those of ``image`` [H, W, C] if Pillow cannot represent them."""
    _check_pixels(image.width * image.height)
    image.load()
    if samples is None and image.mode[0] in "IF":
        samples = np.asarray(image)[..., None]
    if samples is not None:
        flat = _from_samples(samples, image.info.get("transparency"))
    else:
        flat = _on_white(image) if image.has_transparency_data else image.convert("RGB") if image.mode != "RGB" else image
    return _upright(flat, image)


def _from_samples(samples: np.ndarray, transparency: int | tuple[int, ...] | None) -> Image.Image:
    """Return an RGB image of grey, grey and alpha, RGB or RGBA samples [H, W, C]; one colour may be declared transparent."""
    channels = samples.shape[2]
    colour = samples[..., : channels - 1] if channels in (2, 4) else samples
    rgb = Image.fromarray(np.broadcast_to(eight_bits(colour), (*colour.shape[:2], 3)).copy())
    if channels in (2, 4):
        rgb.putalpha(Image.fromarray((samples[..., -1] >> 8 * (samples.itemsize - 1)).astype(np.uint8)))
    elif isinstance(transparency, int | tuple):
        rgb.putalpha(Image.fromarray(np.where((samples == np.array(transparency)).all(axis=-1), 0, 255).astype(np.uint8)))
    return _on_white(rgb)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    # Pillow converts premultiplied modes only to their plain twins.
    rgba = (image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode]) if image.mode in ("La", "RGBa") else image).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def _upright(picture: Image.Image, source: Image.Image) -> Image.Image:
    """Turn a picture as the EXIF data of its source say. Damaged EXIF data turn nothing: the picture itself may be fine."""
    try:
        orientation = source.getexif().get(ExifTags.Base.Orientation)
    except DECODER_ERRORS:
        return picture
    return picture.transpose(_TURNS[orientation]) if orientation in _TURNS else picture


def _sixteen_bit_samples(encoded: bytes, image: ImageFile) -> np.ndarray | None:
    """Return the samples of a 16-bit PNG file with several channels, uint16 [H, W, C]; None for any other file."""
    raw_modes = _RAW_BYTES.get(str(image.tile[0].args)) if image.format == "PNG" and image.tile else None
    if raw_modes is None:
        return None
    parts = [_raw_bytes(encoded, raw_mode) for raw_mode in raw_modes]
    high, low = parts if len(parts) == 2 else (parts[0][..., 0::2], parts[0][..., 1::2])
    return (high.astype(np.uint16) << 8) | low


def _raw_bytes(encoded: bytes, raw_mode: str) -> np.ndarray:
    image = _open(encoded)
    image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
    return np.asarray(image)
