"""The metrics that a task names are those that it measures."""

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pytest

from examples.modality_task import ModalityTask
from medvlp.errors import ConfigurationError
from medvlp.tasks.pretrain.config import ObjectiveWeights
from medvlp.tasks.pretrain.evaluation import FindingRule, evaluate_pretraining, summarise_pretraining
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.evaluation import summarise_question_answering
from medvlp.tasks.vqa.task import QuestionAnswering
from tests.medvlp.tiny import pretrain_batch, pretraining_module


@pytest.mark.parametrize("weights", [{}, {"align": 0.0}, {"mlm": 0.0, "mim": 0.0}, {"itm": 0.0, "mim": 0.0}])
def test_pre_training_names_what_it_measures(weights: dict[str, float]) -> None:
    records = evaluate_pretraining(pretraining_module(**weights).eval(), pretrain_batch(12))
    measured = summarise_pretraining(records, FindingRule(np.arange(8), 1))
    named = set(Pretraining(weights=ObjectiveWeights(**weights)).metrics())
    assert named == set(measured)


def test_question_answering_names_what_it_measures() -> None:
    records = {
        "weight": np.ones(2),
        "label": np.array([0, -1]),
        "is_correct": np.array([True, False]),
        "is_correct_shuffled": np.array([True, False]),
        "answer_loss": np.ones(2),
        "answer": np.array(["a", "b"]),
        "answer_type": np.array(["Yes/No", ""]),
    }
    patterns = QuestionAnswering().metrics()
    measured = summarise_question_answering(records)
    assert "answer_accuracy_yes_no" in measured
    assert all(any(fnmatchcase(name, pattern) for pattern in patterns) for name in measured)
    assert all(any(fnmatchcase(name, pattern) for name in measured) for pattern in patterns)


def test_a_task_of_ones_own_has_those_of_its_report_or_names_them() -> None:
    ModalityTask().check_metric("val/majority_accuracy", "train.best_metric", "val/")
    with pytest.raises(ConfigurationError, match=r"'val/x' is no metric of this task\. It has val/modality_accuracy, val/majority_"):
        ModalityTask().check_metric("val/x", "train.best_metric", "val/")

    @dataclass(frozen=True, kw_only=True)
    class Naming(ModalityTask):
        def metrics(self) -> tuple[str, ...]:
            return (*super().metrics(), "recall_*")

    Naming().check_metric("val/recall_5", "train.best_metric", "val/")


@pytest.mark.parametrize("name", ["itm_accuracy", "val/itm_acuracy"])
def test_a_near_name_is_suggested(name: str) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'val/itm_accuracy'"):
        Pretraining().check_metric(name, "train.best_metric", "val/")
