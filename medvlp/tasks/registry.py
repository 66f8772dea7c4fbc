"""The registry of tasks by name: the only code that depends on a task's name."""

import difflib
import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from medvlp.configuration import Choice
from medvlp.errors import ConfigurationError
from medvlp.tasks.base import Task

ENTRY_POINTS = "medvlp.tasks"
"""Entry-point group with which other distributions add tasks."""
_BUILT_IN = {
    "pretrain": "medvlp.tasks.pretrain.task:Pretraining",
    "vqa": "medvlp.tasks.vqa.task:QuestionAnswering",
}


def find_task(name: str) -> type[Task]:
    """Return the class of a task: a registered one, or ``package.module:Class`` of any importable module.

    Raises:
        ConfigurationError: there is none, or it is not a task.
    """
    if name not in _registered() and ":" in name:
        return _load(name, name)
    return find_registered_task(name)


def find_registered_task(name: str) -> type[Task]:
    """Return the class of a task that is built in or registered by an installed distribution.

    For names from untrusted files: it imports only what the user has installed as a task.

    Raises:
        ConfigurationError: there is none, or it is not a task.
    """
    known = _registered()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "give package.module:Class to use your own class"
        raise ConfigurationError(f"unknown task {name!r}; known tasks: {', '.join(sorted(known))}; {hint}")
    return _load(name, known[name])


def task_name(task: type[Task]) -> str:
    """Return the name by which ``find_task`` finds this class."""
    reference = f"{task.__module__}:{task.__qualname__}"
    return next((name for name, target in _registered().items() if target == reference), reference)


TASK = Choice(find_task, task_name)
"""The choice of the task in a configuration."""
REGISTERED_TASK = Choice(find_registered_task, task_name)
"""The same for configurations from untrusted files."""


@cache
def _registered() -> dict[str, str]:
    """Return ``module:Class`` by name; built-in names cannot be overridden."""
    return {**{point.name: point.value for point in entry_points(group=ENTRY_POINTS)}, **_BUILT_IN}


def _load(name: str, reference: str) -> type[Task]:
    module, _, _ = reference.partition(":")
    try:
        found = EntryPoint(name, reference, ENTRY_POINTS).load()
    except ImportError as error:
        raise ConfigurationError(f"task {name!r} cannot be imported ({error}); is the folder of {module} on PYTHONPATH?") from error
    except AttributeError as error:
        known = [key for key, value in vars(importlib.import_module(module)).items() if isinstance(value, type) and issubclass(value, Task)]
        raise ConfigurationError(f"task {name!r}: {error}; the module has {', '.join(known) or 'no task'}") from error
    if not (isinstance(found, type) and issubclass(found, Task)):
        raise ConfigurationError(f"{reference} is not a task: it must be a subclass of medvlp.tasks.base.Task")
    return found
