"""Tasks by name: those of the project, of other distributions, and of any file."""

from importlib.metadata import EntryPoint

import pytest

from medvlp.errors import ConfigurationError
from medvlp.tasks import registry
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.registry import find_registered_task, find_task, task_name
from medvlp.tasks.vqa.task import QuestionAnswering


@pytest.mark.parametrize(("name", "task"), [("pretrain", Pretraining), ("vqa", QuestionAnswering)])
def test_a_task_and_its_name(name: str, task: type) -> None:
    assert find_task(name) is find_registered_task(name) is task
    assert task_name(task) == name


def test_a_class_is_named_by_where_it_is() -> None:
    assert find_task("medvlp.tasks.vqa.task:QuestionAnswering") is QuestionAnswering
    assert task_name(find_task("examples.modality_task:ModalityTask")) == "examples.modality_task:ModalityTask"


def test_a_name_from_a_file_imports_nothing() -> None:
    with pytest.raises(ConfigurationError, match=r"unknown task 'examples\.modality_task:ModalityTask'"):
        find_registered_task("examples.modality_task:ModalityTask")


def test_other_distributions_add_tasks_but_take_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = "examples.modality_task:ModalityTask"
    points = [EntryPoint("modality", reference, registry.ENTRY_POINTS), EntryPoint("vqa", reference, registry.ENTRY_POINTS)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    registry._registered.cache_clear()
    try:
        task = find_registered_task("modality")
        assert task_name(task) == "modality"
        assert find_task("vqa") is QuestionAnswering
    finally:
        registry._registered.cache_clear()
