"""Save pictures as files: Pillow images or matplotlib figures."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Union

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = Union[Image.Image, "Figure"]

_FIGURE_DOTS_PER_INCH = 120


def picture_key(name: str) -> str:
    """Replace the characters of ``name`` that MLflow or a file system would reject."""
    return re.sub(r"[^a-zA-Z0-9_\-/]", "_", name).strip("/")


def save_picture(picture: Picture, path: Path) -> None:
    """Write ``picture`` as a PNG file and create its folders. Needs no display and no pyplot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, Image.Image):
        picture.save(path, format="PNG")
    else:
        picture.savefig(path, format="png", dpi=_FIGURE_DOTS_PER_INCH, bbox_inches="tight")
