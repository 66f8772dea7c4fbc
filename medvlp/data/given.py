"""What a person hands to a model: images of many kinds, and one text or several."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import PIL.Image

from medvlp.errors import DataError

Image = PIL.Image.Image | np.ndarray | bytes | bytearray | memoryview | BinaryIO | str | os.PathLike[str]
"""A Pillow image, an array [H, W] or [H, W, C], or a JPEG or PNG file: its path, its content, or opened in binary mode."""

_KINDS = "a path, bytes, a file opened in binary mode, a Pillow image or a numpy array"


def given_image(image: Image) -> bytes | PIL.Image.Image | np.ndarray:
    """Return a Pillow image or an array as it is, and the content of a file.

    Raises:
        DataError: it is no image, or the file cannot be read.
    """
    if isinstance(image, PIL.Image.Image | np.ndarray):
        return image
    if isinstance(image, bytes | bytearray | memoryview):
        return bytes(image)
    if not isinstance(image, str | os.PathLike) and not hasattr(image, "read"):
        raise DataError(f"a {type(image).__name__} is no image: give one image, as {_KINDS}")
    if isinstance(image, str) and "://" in image:
        raise DataError(f"cannot read the image {image}: only local files are read; download it first")
    try:
        content = Path(os.fsdecode(image)).read_bytes() if isinstance(image, str | os.PathLike) else image.read()
    except (OSError, ValueError) as error:  # ValueError: of a closed file, or a path with a null character
        raise DataError(f"cannot read the image {image!s}: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(content, bytes):
        raise DataError(f"the file {image!s} gives {type(content).__name__}, not bytes: open it in binary mode, as in open(path, 'rb')")
    return content


def given_texts(texts: str | Iterable[str], what: str = "text") -> list[str]:
    """Return one text or several as a list.

    Args:
        texts: one text, or any collection of texts.
        what: what a text is, for messages.

    Raises:
        DataError: something in it is no text.
    """
    no_text = DataError(f"a {type(texts).__name__} is no {what}: give a string, or a list of strings")
    if isinstance(texts, bytes | bytearray | Mapping):
        raise no_text
    try:
        found = [texts] if isinstance(texts, str) else list(texts)
    except TypeError as error:
        raise no_text from error
    for number, text in enumerate(found, start=1):
        if not isinstance(text, str):
            raise DataError(f"{what} {number} of {len(found)} is of type {type(text).__name__}: give a string, or a list of strings")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{what} {number} of {len(found)} is damaged: {error.reason} at character {error.start}") from error
    return found


def given_text(text: str, what: str = "text") -> str:
    """Return the text.

    Raises:
        DataError: it is no text, or there are several.
    """
    if not isinstance(text, str):
        raise DataError(f"a {type(text).__name__} is no {what}: give one string")
    return given_texts(text, what)[0]
