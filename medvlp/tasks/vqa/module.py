"""Question answering: ARL with a classifier over the answers (ARL §4.3).

Shapes as in ``medvlp.model.arl``; A answers.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.arl import ARL, initialise
from medvlp.model.config import ARLConfig
from medvlp.tasks.module import TaskModule, TaskOutput
from medvlp.tasks.reduction import weighted_mean
from medvlp.tasks.vqa.batch import QuestionBatch

LOSS_NAME = "answer"


class AnswerHead(nn.Module):
    """Linear, LayerNorm, GELU, Linear: logits of all answers from the pooled pair."""

    def __init__(self, width: int, answers: int):
        super().__init__()
        self.hidden = nn.Linear(2 * width, 2 * width)
        self.norm = nn.LayerNorm(2 * width, eps=1e-5)
        self.output = nn.Linear(2 * width, answers)

    def forward(self, pooled_BP: Tensor) -> Tensor:
        """Return logits [B, A] of the pooled pair [B, 2H]."""
        return self.output(F.gelu(self.norm(self.hidden(pooled_BP))))


@dataclass(frozen=True)
class EncodedQuestions:
    """A batch after its encoders, and the graph."""

    text: Tensor
    """[B, L, H]."""
    image: Tensor
    """[B, I, H]."""
    graph: Tensor
    """[N, K]."""


class QuestionAnsweringModule(TaskModule):
    """ARL with the answer head."""

    def __init__(self, model: ARLConfig, bundle: KnowledgeBundle, *, answers: int, vocabulary: int, padding_id: int):
        super().__init__()
        self.arl = ARL(model, bundle, vocabulary=vocabulary, padding_id=padding_id)
        self.answering = AnswerHead(model.fusion.width, answers)
        initialise(self.answering, model.initial_deviation)

    def forward(self, batch: QuestionBatch) -> TaskOutput:
        """Return the loss, which has a single part."""
        encoded = self.encode(batch)
        losses = answer_losses(self.logits(batch, encoded, encoded.image), batch.labels)
        loss = weighted_mean(losses, batch.weight)
        return TaskOutput(loss, {LOSS_NAME: loss.detach()})

    def encode(self, batch: QuestionBatch) -> EncodedQuestions:
        """Encode questions and images, and pass over the graph once."""
        image = self.arl.encode_images(self.arl.vision.normalise(batch.images))
        return EncodedQuestions(self.arl.encode_texts(batch.token_ids, batch.token_mask), image, self.arl.knowledge())

    def logits(self, batch: QuestionBatch, encoded: EncodedQuestions, image_BIH: Tensor) -> Tensor:
        """Return logits [B, A] of the questions about ``image_BIH``, which need not be their own images."""
        streams = self.arl.streams(
            encoded.text, image_BIH, encoded.graph, batch.token_mask, batch.entity_ids, batch.entity_mask, batch.entity_tokens
        )
        return self.answering(self.arl.fuse(streams)[1])


def answer_losses(logits_BA: Tensor, labels_B: Tensor) -> Tensor:
    """[B]: binary cross-entropy summed over the answers (the authors' mean, times the number of answers).

    For an answer outside the vocabulary, all answers of the vocabulary are wrong.
    """
    targets = (torch.arange(logits_BA.shape[1], device=labels_B.device) == labels_B[:, None]).float()
    return F.binary_cross_entropy_with_logits(logits_BA.float(), targets, reduction="none").sum(-1)
