"""Pictures as files: Pillow images and matplotlib figures alike."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Union

from PIL import Image

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Picture = Union[Image.Image, "Figure"]

_FIGURE_DOTS_PER_INCH = 120


def picture_key(name: str) -> str:
    """``name`` with what MLflow or a file system would refuse replaced."""
    return re.sub(r"[^a-zA-Z0-9_\-/]", "_", name).strip("/")


def save_picture(picture: Picture, path: Path) -> None:
    """Writes ``picture`` as a PNG file; folders are made. Needs no display and no pyplot."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(picture, Image.Image):
        picture.save(path, format="PNG")
    else:
        picture.savefig(path, format="png", dpi=_FIGURE_DOTS_PER_INCH, bbox_inches="tight")
