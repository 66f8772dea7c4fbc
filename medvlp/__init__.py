"""Knowledge-enhanced medical vision-and-language pre-training."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from medvlp.inference import Model
    from medvlp.tasks.base import Task


def load(folder: str | Path, device: str = "cpu", task: "type[Task] | None" = None) -> "Model":
    """A trained model from a folder that ``jobs/export.py`` wrote.

    Args:
        folder: the folder.
        device: where it computes, as torch names it.
        task: the class of its task, for a task of your own that is not installed; a folder imports nothing by itself.

    Raises:
        CheckpointError: there is no model, or it is damaged.
    """
    from medvlp.inference import Model  # late: every job imports this package, and torch takes seconds

    return Model.load(folder, device, task)
