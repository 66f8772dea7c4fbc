"""Tasks by name: the only place that tells them apart by it."""

import difflib
import importlib
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from medvlp.configuration import Choice
from medvlp.errors import ConfigurationError
from medvlp.tasks.base import Task

ENTRY_POINTS = "medvlp.tasks"
"""Group of the entry points by which other distributions add tasks."""
_BUILT_IN = {
    "pretrain": "medvlp.tasks.pretrain.task:Pretraining",
    "vqa": "medvlp.tasks.vqa.task:QuestionAnswering",
}


def find_task(name: str) -> type[Task]:
    """The class of a task: one that is registered, or ``package.module:Class`` of any module that Python finds.

    Raises:
        ConfigurationError: there is none, or it is no task.
    """
    if name not in _registered() and ":" in name:
        return _load(name, name)
    return find_registered_task(name)


def find_registered_task(name: str) -> type[Task]:
    """The class of a task that is built in or that an installed distribution registered.

    For names from files that others made: nothing is imported that its user did not install as a task.

    Raises:
        ConfigurationError: there is none, or it is no task.
    """
    known = _registered()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "name a class as package.module:Class to use one of your own"
        raise ConfigurationError(f"unknown task {name!r}; known are {', '.join(sorted(known))}; {hint}")
    return _load(name, known[name])


def task_name(task: type[Task]) -> str:
    """The name by which ``find_task`` finds a class again."""
    reference = f"{task.__module__}:{task.__qualname__}"
    return next((name for name, target in _registered().items() if target == reference), reference)


TASK = Choice(find_task, task_name)
"""How a configuration picks its task."""
REGISTERED_TASK = Choice(find_registered_task, task_name)
"""The same for configurations from elsewhere."""


@cache
def _registered() -> dict[str, str]:
    """``module:Class`` by name; a name of ours cannot be taken."""
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
        raise ConfigurationError(f"{reference} is no task: it has to be a subclass of medvlp.tasks.base.Task")
    return found
