"""Knowledge-enhanced medical vision-and-language pre-training."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medvlp.inference import Model
    from medvlp.tasks.base import Task


def load(folder: str | Path, device: str = "cpu", task: "type[Task] | None" = None) -> "Model":
    """Load a trained model from a folder that ``jobs/export.py`` wrote.

    Args:
        folder: the folder.
        device: torch device to compute on.
        task: the class of the task, for your own task that is not installed; a folder never triggers imports by itself.

    Raises:
        CheckpointError: there is no model, or it is damaged.
        ConfigurationError: the folder is not on this machine, or the device cannot be used.
    """
    from medvlp.inference import Model  # late: every job imports this package, and torch takes seconds

    return Model.load(folder, device, task)
