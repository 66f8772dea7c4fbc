"""Knowledge-enhanced medical vision-and-language pre-training."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medvlp.inference import Model


def load(folder: str | Path, device: str = "cpu") -> "Model":
    """A trained model from a folder that ``jobs/export.py`` wrote.

    Raises:
        CheckpointError: there is no model, or it is damaged.
    """
    from medvlp.inference import Model  # late: every job imports this package, and torch takes seconds

    return Model.load(folder, device)
