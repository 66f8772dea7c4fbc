"""Batches of questions about images, and the collate that makes them. Shapes: B samples."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from medvlp.data.batch import Batch, padded
from medvlp.data.collate import CommonCollate, choose_partners
from medvlp.data.randomness import Purpose, keyed_generator
from medvlp.data.sample import StreamRow
from medvlp.data.synthetic import synthetic_batch
from medvlp.data.text import encode_texts
from medvlp.metrics.answers import normalise_answer
from medvlp.tasks.vqa.vocabulary import UNKNOWN, AnswerVocabulary


@dataclass(frozen=True, eq=False)
class QuestionBatch(Batch):
    """A micro-batch of questions, each with its image and its answer."""

    labels: Tensor
    """int64 [B]: index of the reference answer in the vocabulary, else of the first correct answer that is in it, else -1."""
    correct: Tensor
    """int64 [B, C]: indices of all correct answers, -1 for one that is not in the vocabulary and in unused slots."""
    partner: Tensor
    """int64 [B]: the row whose image validation shows instead; the row itself if no other has its modality."""
    answers: tuple[str, ...]
    """The reference answers, normalised."""
    answer_types: tuple[str, ...]
    """The question types that the benchmark reports by; "" if it has none."""


@dataclass(frozen=True)
class QuestionCollate(CommonCollate):
    """Collates rows to a ``QuestionBatch``."""

    vocabulary: AnswerVocabulary

    def __call__(self, rows: Sequence[StreamRow]) -> QuestionBatch:
        """See ``Collate``."""
        common = self.common_fields(rows, encode_texts(self.tokenizer, rows, self.text.maximum_tokens))
        generator = keyed_generator(self.seed, Purpose.PARTNERS, rows[0].position)
        usable = common["weight"].numpy() > 0
        partner, has_partner = choose_partners([row.modality for row in rows], usable, generator, "same_modality")
        correct = [[self.vocabulary.label(answer) for answer in row.answers] for row in rows]
        return QuestionBatch(
            **common,
            labels=torch.tensor([next((label for label in of_row if label != UNKNOWN), UNKNOWN) for of_row in correct]),
            correct=padded(correct, max(map(len, correct)), UNKNOWN),
            partner=torch.where(torch.from_numpy(has_partner), torch.from_numpy(partner), torch.arange(len(rows))),
            answers=tuple(normalise_answer(row.answer) for row in rows),
            answer_types=tuple(row.answer_type for row in rows),
        )


def synthetic_questions(size: int, *, answers: int, **sizes: Any) -> QuestionBatch:
    """A ``QuestionBatch`` of random numbers; for ``sizes`` see ``synthetic_batch``."""
    batch = synthetic_batch(size, slots=1, **sizes)
    common = {field.name: getattr(batch, field.name) for field in fields(Batch)}
    labels = torch.arange(size) % answers
    return QuestionBatch(
        **common, labels=labels, correct=labels[:, None], partner=batch.partner, answers=("",) * size, answer_types=("",) * size
    )
