"""Visual question answering as a task."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from medvlp.data.collate import Collate
from medvlp.errors import ConfigurationError
from medvlp.metrics.records import Records
from medvlp.tasks.base import Card, ReportRow, Task, TaskContext
from medvlp.tasks.vqa.vocabulary import AnswerVocabulary
from medvlp.values import Count

if TYPE_CHECKING:  # see medvlp.tasks.pretrain.task
    from medvlp.tasks.vqa.batch import QuestionBatch
    from medvlp.tasks.vqa.module import QuestionAnsweringModule

ANSWERS = "answers"
"""Name of the answers in the targets."""


@dataclass(frozen=True, kw_only=True)
class QuestionAnswering(Task):
    """Answers chosen from those of the training questions (ARL §4.3)."""

    section: ClassVar[str] = "vqa"
    target_columns: ClassVar[tuple[str, ...]] = ("answers",)

    minimum_answer_count: Count = 1
    """Minimum number of training questions with an answer for the vocabulary to include it."""

    def targets(self, columns: Iterable[Mapping[str, list[Any]]]) -> dict[str, Any]:
        """Return the answers, see ``AnswerVocabulary.build``."""
        answers = (of_sample[0] if of_sample else "" for part in columns for of_sample in part["answers"])
        return {ANSWERS: list(AnswerVocabulary.build(answers, self.minimum_answer_count).answers)}

    def build(self, context: TaskContext) -> "QuestionAnsweringModule":
        """See ``Task``."""
        from medvlp.tasks.vqa.module import QuestionAnsweringModule

        return QuestionAnsweringModule(context.model, context.bundle, answers=len(vocabulary(context)), **context.sizes)

    def collate(self, context: TaskContext, *, augment: bool) -> Collate:
        """See ``Task``."""
        from medvlp.tasks.vqa.batch import QuestionCollate

        return QuestionCollate(**context.reading, augment=augment, vocabulary=vocabulary(context))

    def synthetic_batch(self, context: TaskContext, size: int, width: int | None = None) -> "QuestionBatch":
        """See ``Task``."""
        from medvlp.tasks.vqa.batch import synthetic_questions

        return synthetic_questions(size, answers=len(vocabulary(context)), **context.batch_sizes(width))

    def evaluate(self, module: "QuestionAnsweringModule", batch: "QuestionBatch") -> Records:  # type: ignore[override]
        """See ``Task``."""
        from medvlp.tasks.vqa.evaluation import evaluate_question_answering

        return evaluate_question_answering(module, batch)

    def summarise(self, context: TaskContext, records: Records) -> dict[str, float]:
        """See ``Task``."""
        from medvlp.tasks.vqa.evaluation import summarise_question_answering

        return summarise_question_answering(records)

    def sample_records(self, context: TaskContext, records: Records) -> dict[str, np.ndarray]:
        """Return the sample records with the predicted answers as text."""
        answers = np.array(vocabulary(context).answers)
        words = {name: answers[records[name]] for name in ("predicted", "predicted_shuffled")}
        return {**super().sample_records(context, records), **words}

    def rows(self) -> tuple[ReportRow, ...]:
        """See ``Task``."""
        return (
            ReportRow("answers, accuracy", "answer_accuracy", "majority_answer_accuracy"),
            ReportRow("answers, shuffled image", "answer_accuracy_shuffled_image"),
        )

    def metrics(self) -> tuple[str, ...]:
        """See ``Task``; most are measured for each type of question too."""
        names = super().metrics()
        return ("answer_loss", "answer_known", *names, *(f"{name}_*" for name in names))

    def card(self, context: TaskContext) -> Card:
        """See ``Task``."""
        return Card(
            f"A vision-and-language model that answers questions about images, with {len(vocabulary(context))} possible answers.",
            'model.answer("image.png", "Is there an effusion?")',
        )


def vocabulary(context: TaskContext) -> AnswerVocabulary:
    """Return the answers that the module of this context chooses from.

    Raises:
        ConfigurationError: the targets have none.
    """
    answers = context.targets.get(ANSWERS)
    if not isinstance(answers, list | tuple) or not answers or not all(isinstance(answer, str) for answer in answers):
        raise ConfigurationError(f"targets.{ANSWERS} is no list of answers: export the run again")
    return AnswerVocabulary(tuple(answers))
