"""Validation of question answering, with baselines that do not see the image.

An answer counts if it is one of the correct ones. Every question is asked twice: about its own image, and about the image of another
question of the same modality. A predictor that knows only the type of a question gives the most common answer of that type.
"""

import re

import numpy as np
import torch

from medvlp.metrics.records import Records, to_records
from medvlp.tasks.vqa.batch import QuestionBatch
from medvlp.tasks.vqa.module import LOSS_NAME, QuestionAnsweringModule, answer_losses


@torch.no_grad()
def evaluate_question_answering(task: QuestionAnsweringModule, batch: QuestionBatch) -> Records:
    """Return the records of one batch for ``summarise_question_answering``."""
    encoded = task.encode(batch)
    own = task.logits(batch, encoded, encoded.image)
    shuffled = task.logits(batch, encoded, encoded.image[batch.partner])
    return to_records(
        {
            "weight": batch.weight,
            "label": batch.labels,
            "predicted": own.argmax(-1),
            "predicted_shuffled": shuffled.argmax(-1),
            "is_correct": (own.argmax(-1, keepdim=True) == batch.correct).any(-1),
            "is_correct_shuffled": (shuffled.argmax(-1, keepdim=True) == batch.correct).any(-1),
            f"{LOSS_NAME}_loss": answer_losses(own, batch.labels),
            "answer": np.array(batch.answers),
            "answer_type": np.array(batch.answer_types),
        }
    )


def summarise_question_answering(records: Records) -> dict[str, float]:
    """Return metrics by name over all validated questions, then the same for every question type."""
    counted = records["weight"] > 0
    records = {name: values[counted] for name, values in records.items()}
    if not counted.any():
        return {}
    rows = {
        "answer_accuracy": records["is_correct"],
        "answer_accuracy_shuffled_image": records["is_correct_shuffled"],
        "majority_answer_accuracy": _is_majority(records["answer"], records["answer_type"]),
    }
    metrics = {f"{LOSS_NAME}_loss": float(records[f"{LOSS_NAME}_loss"].mean())}
    metrics["answer_known"] = float((records["label"] >= 0).mean())
    metrics |= {name: float(values.mean()) for name, values in rows.items()}
    for answer_type in filter(None, np.unique(records["answer_type"])):
        group = records["answer_type"] == answer_type
        suffix = re.sub(r"\W+", "_", str(answer_type).lower())
        metrics |= {f"{name}_{suffix}": float(values[group].mean()) for name, values in rows.items()}
    return metrics


def _is_majority(answers: np.ndarray, types: np.ndarray) -> np.ndarray:
    """Return bool: rows with the most common answer of their type among these rows, so that no constant does better."""
    majority = np.zeros(len(answers), dtype=bool)
    for answer_type in np.unique(types):
        group = types == answer_type
        values, counts = np.unique(answers[group], return_counts=True)
        majority |= group & (answers == values[counts.argmax()])
    return majority
