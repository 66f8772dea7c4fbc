"""Honest validation: right figures on records made by hand, and chance for a model that knows only the modality."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from medvlp.data.masking import IGNORED
from medvlp.metrics.records import Records
from medvlp.tasks.pretrain.evaluation import FindingRule, evaluate_pretraining, summarise_pretraining
from medvlp.tasks.pretrain.module import PretrainingModule
from tests.medvlp.tiny import NAMES, bundle, collate, pretrain_batch, pretraining_module, stream_row

ALL = FindingRule(np.arange(2), minimum_cases=1)


def align_records(modality: list[str], logits: list[list[float]], labels: list[list[int]], weight: list[float] | None = None) -> Records:
    return {
        "weight": np.array(weight or [1.0] * len(modality)),
        "has_partner": np.ones(len(modality), bool),
        "modality": np.array(modality),
        "image_logits": np.array(logits, dtype=np.float32),
        "image_labels": np.array(labels, dtype=bool),
    }


def test_auroc_is_the_mean_over_findings_within_their_modality() -> None:
    records = align_records(
        ["CT", "CT", "CT", "MR", "MR", "MR"],
        [[3.0, 0.0], [2.0, 1.0], [1.0, 2.0], [9.0, 5.0], [8.0, 5.0], [9.5, 5.0]],
        [[1, 0], [0, 1], [0, 0], [0, 0], [1, 0], [0, 0]],
    )
    # Finding 0 is perfect in CT and inverted in MR; finding 1 is half right in CT and never occurs in MR.
    assert summarise_pretraining(records, ALL)["align_image_auroc"] == pytest.approx((1.0 + 0.0 + 0.5) / 3)


def test_a_model_that_only_knows_the_modality_is_at_chance() -> None:
    generator = np.random.default_rng(0)
    modality = ["CT"] * 40 + ["MR"] * 40
    # Findings are much commoner in CT, and every logit says only which modality it is.
    labels = [[int(generator.random() < (0.8 if name == "CT" else 0.1))] * 2 for name in modality]
    records = align_records(modality, [[5.0 if name == "CT" else -5.0] * 2 for name in modality], labels)
    margins = np.array([3.0 if name == "CT" else -3.0 for name in modality])
    metrics = summarise_pretraining({**records, "own_margin": margins, "partner_margin": margins}, ALL)
    assert metrics["align_image_auroc"] == metrics["modality_only_align_image_auroc"] == 0.5
    assert metrics["itm_accuracy"] == metrics["modality_only_itm_accuracy"] == 0.5
    assert metrics["align_image_f1"] <= metrics["modality_only_align_image_f1"]


def test_f1_and_that_of_always_yes() -> None:
    records = align_records(["CT"] * 4, [[1.0], [1.0], [-1.0], [-1.0]], [[1], [0], [1], [0]])
    metrics = summarise_pretraining(records, FindingRule(np.array([0]), minimum_cases=1))
    assert metrics["align_image_f1"] == pytest.approx(0.5)
    assert metrics["modality_only_align_image_f1"] == pytest.approx(2 * 2 / (2 + 4))


@pytest.mark.parametrize(("minimum", "measured"), [(2, True), (3, False)])
def test_too_few_cases_are_not_measured(minimum: int, measured: bool) -> None:
    records = align_records(["CT"] * 6, [[float(row)] for row in range(6)], [[0], [0], [0], [0], [1], [1]])
    assert ("align_image_auroc" in summarise_pretraining(records, FindingRule(np.array([0]), minimum))) == measured


def test_findings_are_chosen_by_type() -> None:
    assert FindingRule.of_types(bundle(), ["other"]).entities.tolist() == [0, 1]
    assert FindingRule.of_types(bundle(), []).entities.tolist() == list(range(len(NAMES)))


def test_rows_of_weight_zero_are_left_out() -> None:
    rows = (["CT"] * 4, [[3.0], [1.0], [2.0], [-9.0]], [[1], [0], [0], [1]])
    rule = FindingRule(np.array([0]), minimum_cases=1)
    assert summarise_pretraining(align_records(*rows, weight=[1.0, 1.0, 1.0, 0.0]), rule)["align_image_auroc"] == 1.0
    assert summarise_pretraining(align_records(*rows), rule)["align_image_auroc"] == 0.5


def test_matching_is_right_when_own_is_above_and_partner_below() -> None:
    records = {
        **align_records(["CT"] * 4, [[0.0, 0.0]] * 4, [[0, 0]] * 4),
        "own_margin": np.array([1.0, 1.0, -1.0, -1.0]),
        "partner_margin": np.array([-1.0, 1.0, -1.0, 1.0]),
        "has_partner": np.array([True, True, True, False]),
    }
    assert summarise_pretraining(records, ALL)["itm_accuracy"] == pytest.approx(4 / 6)


def language_records() -> Records:
    return {
        "weight": np.ones(3),
        "has_partner": np.array([True, True, False]),
        "modality": np.array(["CT", "MR", "CT"]),
        "labels": np.array([[7, 8, 7], [9, IGNORED, IGNORED], [5, 5, IGNORED]]),
        "in_entity": np.array([[True, False, True], [True, False, False], [True, True, False]]),
        "predicted": np.array([[7, 8, 1], [9, 0, 0], [5, 0, 0]]),
        "predicted_shuffled": np.array([[1, 8, 1], [9, 0, 0], [5, 5, 0]]),
    }


def test_masked_tokens_are_counted_over_slots_in_use() -> None:
    metrics = summarise_pretraining(language_records(), ALL)
    assert metrics["mlm_accuracy"] == pytest.approx(4 / 6)
    # Entities only where there is an image of the same modality to compare with: 7, 7 and 9.
    assert metrics["mlm_entity_accuracy"] == pytest.approx(2 / 3)
    assert metrics["mlm_entity_accuracy_shuffled_image"] == pytest.approx(1 / 3)
    assert metrics["modality_only_mlm_entity_accuracy"] == 1.0


def test_the_baseline_says_the_commonest_token_of_each_modality() -> None:
    records = language_records() | {"labels": np.array([[7, 8, 6], [9, IGNORED, IGNORED], [5, 5, IGNORED]])}
    assert summarise_pretraining(records, ALL)["modality_only_mlm_entity_accuracy"] == pytest.approx(2 / 3)


@pytest.mark.filterwarnings("error")
def test_nothing_to_measure_is_left_out_in_silence() -> None:
    nobody = language_records() | {"weight": np.zeros(3), "own_margin": np.zeros(3), "partner_margin": np.zeros(3), "mlm_loss": np.ones(3)}
    nobody |= {"image_logits": np.zeros((3, 2)), "image_labels": np.zeros((3, 2), bool)}
    assert set(summarise_pretraining(nobody, ALL)) == {"modality_only_itm_accuracy"}


def test_losses_are_means_over_samples() -> None:
    records = {"weight": np.array([1.0, 1.0, 0.0]), "has_partner": np.ones(3, bool), "modality": np.array(["CT"] * 3)}
    metrics = summarise_pretraining(records | {"mim_loss": np.array([1.0, 2.0, 9.0])}, ALL)
    assert metrics == {"mim_loss": 1.5}


def evaluate(task: PretrainingModule, batch) -> Records:
    torch.manual_seed(0)
    return evaluate_pretraining(task.eval(), batch)


def test_records_of_a_batch_have_a_row_per_sample() -> None:
    batch = pretrain_batch(6, broken=(2,))
    records = evaluate(pretraining_module(), batch)
    assert {len(values) for values in records.values()} == {6}
    assert set(records) == {
        *("weight", "has_partner", "modality", "mlm_loss", "mim_loss", "itm_loss", "align_loss", "labels", "in_entity"),
        *("predicted", "predicted_shuffled", "own_margin", "partner_margin"),
        *("image_logits", "text_logits", "image_labels", "text_labels"),
    }
    assert records["image_labels"][0].nonzero()[0].tolist() == [0, 3]


def test_the_metrics_are_the_interface() -> None:
    batch = collate(augment=False)([stream_row(position, modality="CT") for position in range(24)])
    metrics = summarise_pretraining(evaluate(pretraining_module(), batch), FindingRule.of_types(bundle(), []))
    assert set(metrics) == {
        *("mlm_loss", "mim_loss", "itm_loss", "align_loss"),
        *("mlm_accuracy", "mlm_entity_accuracy", "mlm_entity_accuracy_shuffled_image", "itm_accuracy"),
        *(f"align_{side}_{figure}" for side in ("image", "text") for figure in ("auroc", "f1")),
        *(f"modality_only_align_{side}_{figure}" for side in ("image", "text") for figure in ("auroc", "f1")),
        *("modality_only_itm_accuracy", "modality_only_mlm_entity_accuracy"),
    }


@pytest.mark.parametrize("left", ["mlm", "mim", "itm", "align"])
def test_an_objective_that_is_not_built_is_not_measured(left: str) -> None:
    weights = {name: float(name == left) for name in ("mlm", "mim", "itm", "align")}
    metrics = summarise_pretraining(evaluate(pretraining_module(**weights), pretrain_batch(8)), ALL)
    assert f"{left}_loss" in metrics
    assert all(left in name for name in metrics)


def test_images_that_show_only_the_modality_teach_nothing() -> None:
    # The honest end of it: the whole model on images that are all alike within a modality.
    batch = pretrain_batch(16)
    images = torch.stack([batch.images[0] if modality == "CT" else batch.images[1] for modality in batch.modalities])
    records = evaluate(pretraining_module(), replace(batch, images=images))
    metrics = summarise_pretraining(records, FindingRule(np.arange(len(NAMES)), minimum_cases=1))
    assert metrics["itm_accuracy"] == 0.5
    assert metrics["align_image_auroc"] == pytest.approx(0.5, abs=1e-6)
    assert metrics["mlm_entity_accuracy"] == metrics["mlm_entity_accuracy_shuffled_image"]


def test_the_shuffled_image_is_the_partners() -> None:
    task, batch = pretraining_module().eval(), pretrain_batch(8)
    swapped = replace(batch, images=batch.images[batch.partner])
    records, of_swapped = evaluate(task, batch), evaluate(task, swapped)
    assert np.array_equal(records["predicted_shuffled"], of_swapped["predicted"])
    assert np.allclose(records["partner_margin"], of_swapped["own_margin"], atol=1e-5)
    assert not np.allclose(records["partner_margin"], records["own_margin"], atol=1e-3)
