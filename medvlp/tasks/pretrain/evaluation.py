"""Validation of pre-training, with baselines that do not see the image.

Negatives and shuffled images come from the same modality; areas under the curve are computed within a modality. Each metric has a baseline:
a predictor that knows only the modality.

Shapes: B samples, M masked slots, N entities, R all validated samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from medvlp.data.batch import PretrainBatch
from medvlp.data.masking import IGNORED
from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.metrics.records import Records, to_records
from medvlp.model.arl import Streams
from medvlp.tasks.pretrain.config import Objective
from medvlp.tasks.pretrain.module import Encoded, PretrainingModule


@torch.no_grad()
def evaluate_pretraining(task: PretrainingModule, batch: PretrainBatch) -> Records:
    """Return the records of one batch for ``summarise_pretraining``."""
    records: dict[str, Any] = {"weight": batch.weight, "has_partner": batch.has_partner, "modality": np.array(batch.modalities)}
    encoded = task.encode(batch)
    losses = task.objectives(batch, encoded).losses
    records |= {f"{name}_loss": loss.expand(len(batch)) for name, loss in losses.items()}
    if task.masked_language is not None:
        records |= {"labels": batch.masked_labels, "in_entity": batch.masked_in_entity}
        records |= _predicted_tokens(task, batch, encoded)
    if task.matching is not None:
        records |= _matching_margins(task, batch, encoded)
    if Objective.ALIGN in losses:
        image, text = task.alignment(encoded)
        image_labels, text_labels = (labels.bool() for labels in task.alignment_labels(batch))
        records |= {"image_logits": image, "text_logits": text, "image_labels": image_labels, "text_labels": text_labels}
    return to_records(records)


def _predicted_tokens(task: PretrainingModule, batch: PretrainBatch, encoded: Encoded) -> dict[str, torch.Tensor]:
    """Return the most likely token [B, M] in every masked slot, with the row's own image and with the partner's."""
    assert task.masked_language is not None
    images = (encoded.image, encoded.image[batch.partner])
    text, _ = task.arl.fuse(Streams.cat([task.masked_streams(batch, encoded, image) for image in images]))
    predicted = task.masked_language(text, torch.cat([batch.masked_positions] * 2)).argmax(-1)
    own, shuffled = predicted.chunk(2)
    return {"predicted": own, "predicted_shuffled": shuffled}


def _matching_margins(task: PretrainingModule, batch: PretrainBatch, encoded: Encoded) -> dict[str, torch.Tensor]:
    """Return the logit of "matched" minus that of "not matched" [B]: for every text with its own image, and with its partner's."""
    assert task.matching is not None
    images = (encoded.image, encoded.image[batch.partner])
    _, pooled = task.arl.fuse(Streams.cat([task.text_streams(batch, encoded, image) for image in images]))
    logits = task.matching(pooled)
    own, partner = (logits[:, 1] - logits[:, 0]).chunk(2)
    return {"own_margin": own, "partner_margin": partner}


@dataclass(frozen=True)
class FindingRule:
    """Which entities count as findings, and how many samples are needed to measure one."""

    entities: np.ndarray
    """int64: entity ids."""
    minimum_cases: int = 5
    """Minimum number of positive, and of negative, samples of a modality to measure a finding in it."""

    @classmethod
    def of_types(cls, bundle: KnowledgeBundle, semantic_types: Sequence[str]) -> "FindingRule":
        """Return the rule for entities of the given semantic types; of all types if none is given."""
        chosen = [index for index, entity in enumerate(bundle.entities) if not semantic_types or entity.semantic_type in semantic_types]
        return cls(np.array(chosen, dtype=np.int64))


def summarise_pretraining(records: Records, findings: FindingRule) -> dict[str, float]:
    """Return metrics by name over all validated samples; a metric with nothing to measure is left out."""
    counted = records["weight"] > 0
    records = {name: values[counted] for name, values in records.items()}
    metrics = {name: float(values.mean()) for name, values in records.items() if name.endswith("_loss") and len(values)}
    if "predicted" in records:
        metrics |= _masked_language_metrics(records)
    if "own_margin" in records:
        margins = records["own_margin"][records["has_partner"]], records["partner_margin"][records["has_partner"]]
        metrics["itm_accuracy"] = _mean(np.concatenate([margins[0] > 0, margins[1] <= 0]))
        metrics["modality_only_itm_accuracy"] = 0.5
    for side in ("image", "text"):
        if f"{side}_logits" in records:
            metrics |= _alignment_metrics(side, records, findings)
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def _masked_language_metrics(records: Records) -> dict[str, float]:
    masked = records["labels"] != IGNORED
    right, right_shuffled = (records[name] == records["labels"] for name in ("predicted", "predicted_shuffled"))
    compared = masked & records["in_entity"] & records["has_partner"][:, None]
    metrics = {"mlm_accuracy": _mean(right[masked])}
    metrics["mlm_entity_accuracy"] = _mean(right[compared])
    metrics["mlm_entity_accuracy_shuffled_image"] = _mean(right_shuffled[compared])
    metrics["modality_only_mlm_entity_accuracy"] = _majority_accuracy(records["labels"], compared, records["modality"])
    return metrics


def _majority_accuracy(labels: np.ndarray, compared: np.ndarray, modality: np.ndarray) -> float:
    """Return the accuracy of always predicting the most common masked entity token of the modality."""
    right = total = 0
    for name in np.unique(modality):
        group = labels[compared & (modality == name)[:, None]]
        if len(group):
            right += int(np.unique(group, return_counts=True)[1].max())
            total += len(group)
    return right / total if total else float("nan")


def _alignment_metrics(side: str, records: Records, findings: FindingRule) -> dict[str, float]:
    """Return macro averages over all pairs of finding and modality with enough cases."""
    areas, f1, f1_always = [], [], []
    for name in np.unique(records["modality"]):
        group = records["modality"] == name
        labels = records[f"{side}_labels"][group][:, findings.entities]
        logits = records[f"{side}_logits"][group][:, findings.entities]
        positives = labels.sum(0)
        measured = (positives >= findings.minimum_cases) & (len(labels) - positives >= findings.minimum_cases)
        for column in np.flatnonzero(measured):
            truth, predicted = labels[:, column], logits[:, column] > 0
            areas.append(float(roc_auc_score(truth, logits[:, column])))
            f1.append(2 * (truth & predicted).sum() / (truth.sum() + predicted.sum()))
            f1_always.append(2 * truth.sum() / (truth.sum() + len(truth)))
    if not areas:
        return {}
    return {
        f"align_{side}_auroc": float(np.mean(areas)),
        f"align_{side}_f1": float(np.mean(f1)),
        f"modality_only_align_{side}_auroc": 0.5,
        f"modality_only_align_{side}_f1": float(np.mean(f1_always)),
    }


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if values.size else float("nan")
