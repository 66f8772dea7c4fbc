"""Question answering: batches, the paper's loss, and a validation that says what the image is worth."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from medvlp.data.image import ImageConfig
from medvlp.data.sample import StreamRow
from medvlp.data.text import TextConfig
from medvlp.data.tokenizer import train_tokenizer
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.tasks.vqa.batch import QuestionBatch, QuestionCollate, synthetic_questions
from medvlp.tasks.vqa.evaluation import evaluate_question_answering, summarise_question_answering
from medvlp.tasks.vqa.module import QuestionAnsweringModule, answer_losses
from medvlp.tasks.vqa.vocabulary import AnswerVocabulary

TEXTS = ["Is there a stone?", "Which side shows the nodule?", "How many findings are there?"]
VOCABULARY = AnswerVocabulary(("yes", "no", "left", "2"))
MODEL = ARLConfig(
    vision=VisionConfig(width=16, layers=1, heads=2, patch=8, image_size=16),
    language=LanguageConfig(width=16, layers=1, heads=2, feed_forward=16, positions=40),
    knowledge=KnowledgeConfig(hidden_heads=2, hidden_width=4),
    fusion=FusionConfig(width=16, layers=2, heads=2, feed_forward=16, knowledge_heads=2, knowledge_feed_forward=16),
)


def jpeg(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), (shade, shade, shade)).save(buffer, "JPEG")
    return buffer.getvalue()


def row(position: int, *, modality: str = "CT", answer: str = "yes", kind: str = "presence", image: bytes | None = None) -> StreamRow:
    return StreamRow(
        position=position,
        epoch=0,
        key=f"{position:09d}",
        shard="train-00000.tar",
        image=jpeg(30 * position) if image is None else image,
        text=TEXTS[position % len(TEXTS)],
        spans=((11, 16, 1),) if position % len(TEXTS) == 0 else (),
        image_entities=(),
        modality=modality,
        answers=(answer,),
        answer_type=kind,
    )


@pytest.fixture(scope="module")
def collate() -> QuestionCollate:
    tokenizer = train_tokenizer(TEXTS, 300)
    text = TextConfig(maximum_tokens=32, maximum_entities=4, width_multiple=8)
    return QuestionCollate(tokenizer=tokenizer, image=ImageConfig(size=16), text=text, seed=0, augment=False, vocabulary=VOCABULARY)


@pytest.fixture(scope="module")
def task(collate: QuestionCollate, phantom_knowledge: Path) -> QuestionAnsweringModule:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    bundle = KnowledgeBundle.load(phantom_knowledge)
    sizes = {"vocabulary": len(collate.tokenizer), "padding_id": collate.tokenizer.pad_token_id}
    return QuestionAnsweringModule(MODEL, bundle, answers=len(VOCABULARY), **sizes).eval()


def test_a_batch_has_labels_types_and_partners_of_the_same_modality(collate: QuestionCollate) -> None:
    rows = [row(0, answer="Yes."), row(1, answer="left"), row(2, modality="MR"), row(3, answer="never seen"), row(4, image=b"broken")]
    batch = collate(rows)
    assert isinstance(batch, QuestionBatch)
    assert batch.labels.tolist() == [0, 2, 0, -1, 0]
    assert batch.answers == ("yes", "left", "yes", "never seen", "yes")
    assert sorted(batch.partner[[0, 1, 3]].tolist()) == [0, 1, 3]
    assert all(batch.partner[index] != index for index in (0, 1, 3))
    assert batch.partner[[2, 4]].tolist() == [2, 4]  # nobody else of their modality, and nobody without an image
    assert batch.weight.tolist() == [1, 1, 1, 1, 0]
    assert batch.entity_mask[:, 0].tolist() == [True, False, False, True, False]


def test_the_loss_is_the_papers(task: QuestionAnsweringModule, collate: QuestionCollate) -> None:
    batch = collate([row(0), row(1, answer="left"), row(2, image=b"broken")])
    encoded = task.encode(batch)
    logits = task.logits(batch, encoded, encoded.image)
    expected = F.binary_cross_entropy_with_logits(logits[:2], torch.eye(4)[[0, 2]]) * 4
    output = task(batch)
    assert output.loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert output.losses["answer"].item() == output.loss.item()


def test_an_answer_outside_the_vocabulary_is_none_of_it() -> None:
    losses = answer_losses(torch.zeros(2, 3), torch.tensor([-1, 1]))
    assert torch.allclose(losses, torch.full((2,), 3 * np.log(2)).float())


def test_every_trained_weight_is_reached(task: QuestionAnsweringModule, collate: QuestionCollate) -> None:
    sizes = {"image_size": 16, "width": 8, "entities": 4, "vocabulary": len(collate.tokenizer), "answers": 4}
    task(synthetic_questions(3, graph=len(task.arl.knowledge.entity_ids_N), **sizes)).loss.backward()
    without = [name for name, parameter in task.named_parameters() if parameter.grad is None]
    task.zero_grad()
    assert without == []


def test_validation_asks_the_partners_image_too(task: QuestionAnsweringModule, collate: QuestionCollate) -> None:
    batch = collate([row(0), row(3), row(1)])
    records = evaluate_question_answering(task, batch)
    encoded = task.encode(batch)
    swapped = task.logits(batch, encoded, encoded.image[batch.partner]).argmax(-1)
    assert records["predicted_shuffled"].tolist() == swapped.tolist()
    assert records["answer_loss"].mean() == pytest.approx(task(batch).loss.item(), rel=1e-6)


def test_any_of_the_correct_answers_counts(task: QuestionAnsweringModule, collate: QuestionCollate) -> None:
    rows = [replace(row(0), answers=answers) for answers in (VOCABULARY.answers, ("never seen", "left"), ("never seen",), ())]
    batch = collate(rows)
    assert batch.correct.tolist() == [[0, 1, 2, 3], [-1, 2, -1, -1], [-1, -1, -1, -1], [-1, -1, -1, -1]]
    assert batch.labels.tolist() == [0, 2, -1, -1]
    records = evaluate_question_answering(task, batch)
    assert records["is_correct"].tolist() == [True, bool(records["predicted"][1] == 2), False, False]


def test_the_majority_is_the_most_favourable_constant_of_each_type() -> None:
    metrics = summarise_question_answering(
        {
            "weight": np.array([1, 1, 1, 1, 1, 0]),
            "label": np.array([0, 0, 1, 2, -1, 0]),
            "is_correct": np.array([True, False, True, True, False, True]),
            "is_correct_shuffled": np.array([False, True, False, False, False, True]),
            "answer_loss": np.array([1.0, 2.0, 3.0, 4.0, 5.0, 99.0]),
            "answer": np.array(["yes", "yes", "no", "left", "unknown", "yes"]),
            "answer_type": np.array(["presence", "presence", "presence", "SIDE", "SIDE", "presence"]),
        }
    )
    assert metrics["answer_accuracy"] == pytest.approx(3 / 5)
    assert metrics["answer_accuracy_shuffled_image"] == pytest.approx(1 / 5)
    assert metrics["majority_answer_accuracy"] == pytest.approx(3 / 5)
    assert metrics["answer_known"] == pytest.approx(4 / 5)
    assert metrics["answer_loss"] == pytest.approx(3.0)
    assert metrics["answer_accuracy_presence"] == pytest.approx(2 / 3)
    assert metrics["majority_answer_accuracy_side"] == pytest.approx(1 / 2)


def test_nothing_validated_gives_no_metrics() -> None:
    assert summarise_question_answering({"weight": np.zeros(2)}) == {}
