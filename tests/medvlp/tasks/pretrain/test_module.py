"""The pre-training task: one forward, every input once, nothing leaks, and bad samples count for nothing."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from torch import nn

from medvlp.data.batch import PretrainBatch
from medvlp.tasks.module import TaskOutput
from medvlp.tasks.pretrain.alignment import alignment_loss
from medvlp.tasks.pretrain.masked_language import masked_language_loss
from medvlp.tasks.pretrain.matching import matching_loss
from medvlp.tasks.pretrain.module import PretrainingModule
from tests.medvlp.tiny import model_config, pretrain_batch, pretraining_module

HEADS = {
    "mlm": ["masked_language"],
    "mim": ["masked_image"],
    "itm": ["matching"],
    "align": ["image_alignment", "text_alignment"],
}


def run(task: PretrainingModule, batch: PretrainBatch, seed: int = 0) -> TaskOutput:
    torch.manual_seed(seed)
    return task(batch)


def gradients(task: PretrainingModule, batch: PretrainBatch) -> dict[str, torch.Tensor]:
    task.zero_grad()
    run(task, batch).loss.backward()
    return {name: parameter.grad for name, parameter in task.named_parameters() if parameter.grad is not None}


def with_other_rows(batch: PretrainBatch, rows: list[int]) -> PretrainBatch:
    """The batch with other images, texts and entities in some rows."""
    generator = torch.Generator().manual_seed(5)

    def other(values: torch.Tensor, high: int) -> torch.Tensor:
        changed = values.clone()
        changed[rows] = torch.randint(high, values[rows].shape, generator=generator).to(values.dtype)
        return changed

    return replace(
        batch,
        images=other(batch.images, 256),
        token_ids=other(batch.token_ids, 300),
        masked_token_ids=other(batch.masked_token_ids, 300),
        masked_labels=other(batch.masked_labels, 300),
        entity_ids=other(batch.entity_ids, 8),
        image_entities=other(batch.image_entities, 8),
    )


def test_the_total_is_the_weighted_sum_of_its_parts() -> None:
    output = run(pretraining_module(mlm=0.5, mim=2.0, itm=0.1, align=3.0), pretrain_batch())
    assert list(output.losses) == ["mlm", "mim", "itm", "align"]
    parts = output.losses
    torch.testing.assert_close(output.loss, 0.5 * parts["mlm"] + 2 * parts["mim"] + 0.1 * parts["itm"] + 3 * parts["align"])
    assert not any(loss.requires_grad for loss in parts.values())


def test_its_losses_are_those_of_separate_passes() -> None:
    # As the authors run them: one pass of the whole model per objective.
    task, batch = pretraining_module(), pretrain_batch()
    arl, losses = task.arl, run(task, batch).losses
    graph = arl.knowledge()

    def streams(tokens: torch.Tensor, entities: torch.Tensor, image: torch.Tensor):
        text = arl.encode_texts(tokens, batch.token_mask)
        return arl.streams(text, image, graph, batch.token_mask, batch.entity_ids, entities, batch.entity_tokens)

    image = arl.encode_images(arl.vision.normalise(batch.images))
    text, _ = arl.fuse(streams(batch.masked_token_ids, batch.entity_mask & batch.entity_kept, image))
    mlm = masked_language_loss(task.masked_language(text, batch.masked_positions), batch.masked_labels, batch.weight)
    torch.testing.assert_close(losses["mlm"], mlm)

    shown = torch.where(batch.matched[:, None, None, None], batch.images, batch.images[batch.partner])
    _, pooled = arl.fuse(streams(batch.token_ids, batch.entity_mask, arl.encode_images(arl.vision.normalise(shown))))
    torch.testing.assert_close(losses["itm"], matching_loss(task.matching(pooled), batch.matched, batch.weight))

    image_labels, text_labels = task.alignment_labels(batch)
    align = alignment_loss(task.image_alignment(image, graph), image_labels, batch.weight)
    align = align + alignment_loss(
        task.text_alignment(arl.encode_texts(batch.token_ids, batch.token_mask), graph), text_labels, batch.weight
    )
    torch.testing.assert_close(losses["align"], align)


@pytest.mark.parametrize("left", HEADS)
def test_an_objective_of_weight_zero_is_not_built(left: str) -> None:
    weights = {name: float(name == left) for name in HEADS}
    task = pretraining_module(**weights)
    built = {name.split(".")[0] for name, _ in task.named_parameters()} - {"arl"}
    assert built == set(HEADS[left])
    output = run(task, pretrain_batch())
    assert list(output.losses) == [left]
    torch.testing.assert_close(output.loss, output.losses[left])


def test_every_input_is_encoded_once() -> None:
    task, batch = pretraining_module(), pretrain_batch(6)
    calls: Counter[str] = Counter()
    rows: dict[str, list[int]] = {}

    def count(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple, output: object) -> None:
            calls[name] += 1
            rows.setdefault(name, []).append(len(inputs[0]) if inputs and isinstance(inputs[0], torch.Tensor) else 0)

        module.register_forward_hook(hook)

    arl = task.arl
    for name in ("vision", "language", "knowledge", "fusion", "text_pooler", "image_pooler"):
        count(name, getattr(arl, name))
    for heads in HEADS.values():
        for name in heads:
            count(name, getattr(task, name))
    for index, layer in enumerate(arl.fusion.layers):
        count(f"text layer {index}", layer.text_self_attention)
        count(f"image layer {index}", layer.image_self_attention)
    run(task, batch)

    # The image whole and with patches dropped; text and masked text as one batch; masked language and matching as one.
    assert rows["vision"] == [6, 6]
    assert rows["language"] == [12]
    assert calls["knowledge"] == calls["fusion"] == 1
    assert all(calls[name] == 1 for heads in HEADS.values() for name in heads)
    # The reconstruction reads the image stream behind layer 2: layer 1 whole, and the image's half of layer 2.
    assert [rows[f"text layer {index}"] for index in range(3)] == [[12, 6], [12], [12]]
    assert [rows[f"image layer {index}"] for index in range(3)] == [[12, 6], [12, 6], [6]]


def test_masked_entities_give_nothing_away() -> None:
    task, batch = pretraining_module(mim=0, itm=0, align=0), pretrain_batch(8)
    hidden = batch.entity_mask & ~batch.entity_kept
    assert hidden.any()
    assert (batch.entity_mask & batch.entity_kept).any()
    expected = run(task, batch).loss
    other_hidden = replace(batch, entity_ids=torch.where(hidden, (batch.entity_ids + 1) % 8, batch.entity_ids))
    assert torch.equal(run(task, other_hidden).loss, expected)
    other_kept = replace(batch, entity_ids=torch.where(hidden, batch.entity_ids, (batch.entity_ids + 1) % 8))
    assert not torch.equal(run(task, other_kept).loss, expected)


def test_the_vectors_of_masked_entities_change_no_logit() -> None:
    task, batch = pretraining_module(), pretrain_batch(1)
    batch = replace(batch, entity_kept=torch.tensor([[True, False, False, False]]))
    encoded = task.encode(batch)

    def logits(graph: torch.Tensor) -> torch.Tensor:
        text, _ = task.arl.fuse(task.masked_streams(batch, replace(encoded, graph=graph), encoded.image))
        return task.masked_language(text, batch.masked_positions)

    kept, hidden = batch.entity_ids[0, :2].tolist()
    for entity, changes in ((hidden, False), (kept, True)):
        graph = encoded.graph.clone()
        graph[entity] += 5.0
        assert torch.equal(logits(graph), logits(encoded.graph)) != changes


def test_the_masked_language_loss_reads_the_masked_text_only() -> None:
    task, batch = pretraining_module(mim=0, itm=0, align=0), pretrain_batch(6)
    assert torch.equal(run(task, replace(batch, token_ids=batch.token_ids.flip(0))).loss, run(task, batch).loss)


def test_rows_of_weight_zero_change_neither_losses_nor_gradients() -> None:
    task, batch = pretraining_module(), pretrain_batch(6, broken=(1, 4))
    disturbed = with_other_rows(batch, [1, 4])
    expected, losses = gradients(task, batch), run(task, batch).losses
    for name, loss in run(task, disturbed).losses.items():
        torch.testing.assert_close(loss, losses[name])
    for name, gradient in gradients(task, disturbed).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_a_partner_of_weight_zero_counts_for_nothing() -> None:
    task, batch = pretraining_module(mlm=0, mim=0, align=0), pretrain_batch(4)
    partner, unmatched = torch.tensor([1, 0, 3, 2]), torch.zeros(4, dtype=torch.bool)
    batch = replace(batch, weight=torch.tensor([1.0, 0, 1, 1]), partner=partner, matched=unmatched)
    expected = gradients(task, batch)
    disturbed = replace(batch, images=torch.cat([batch.images[:1], 255 - batch.images[1:2], batch.images[2:]]))
    for name, gradient in gradients(task, disturbed).items():
        torch.testing.assert_close(gradient, expected[name], msg=name)


def test_negatives_of_the_corpus_are_shown_to_matching_only() -> None:
    task, batch = pretraining_module(), pretrain_batch(4)
    matched = torch.tensor([True, False, True, False])
    images = torch.flip(batch.images, [0])
    drawn = {"negative_images": images[[1, 3]], "negative_weight": torch.ones(2), "partner": torch.tensor([0, 4, 2, 5]), "matched": matched}
    elsewhere, inside = replace(batch, **drawn), replace(batch, partner=torch.tensor([0, 2, 2, 0]), matched=matched)
    for name, loss in run(task, inside).losses.items():
        torch.testing.assert_close(run(task, elsewhere).losses[name], loss)
    undecoded = replace(elsewhere, negative_weight=torch.zeros(2))
    assert run(task, undecoded).losses["itm"] != run(task, elsewhere).losses["itm"]


def test_a_batch_of_weight_zero_has_every_gradient_and_all_are_zero() -> None:
    # ZeRO waits for the gradient of every parameter, whatever the data are.
    task, batch = pretraining_module(), pretrain_batch(3)
    usual = gradients(task, batch)
    nothing = gradients(task, replace(batch, weight=torch.zeros(3)))
    assert nothing.keys() == usual.keys()
    assert not any(gradient.any() for gradient in nothing.values())
    assert run(task, replace(batch, weight=torch.zeros(3))).loss == 0


def test_every_parameter_that_is_built_learns() -> None:
    task, batch = pretraining_module(), pretrain_batch(8)
    learning = {name for name, gradient in gradients(task, batch).items() if gradient.any()}
    assert {name for name, _ in task.named_parameters()} - learning == set()


def test_patch_masks_and_dropout_come_from_the_seed_alone() -> None:
    task, batch = pretraining_module(model_config(dropout=0.2)), pretrain_batch()
    assert torch.equal(run(task, batch, seed=3).loss, run(task, batch, seed=3).loss)
    assert not torch.equal(run(task, batch, seed=3).losses["mim"], run(task, batch, seed=4).losses["mim"])
    assert not torch.equal(run(task, batch, seed=3).losses["align"], run(task, batch, seed=4).losses["align"])


def test_reconstruction_sees_no_dropped_patch() -> None:
    task, batch = pretraining_module(), pretrain_batch(2)
    torch.manual_seed(0)
    predicted, kept, restore = task.reconstruct(batch, task.encode(batch))
    assert (predicted.shape, kept.shape, restore.shape) == ((2, 4, 192), (2, 2), (2, 4))
    hidden = torch.ones(2, 4).scatter_(1, kept, 0.0).view(2, 1, 2, 2).repeat_interleave(8, 2).repeat_interleave(8, 3)
    disturbed = replace(batch, images=torch.where(hidden.bool(), 255 - batch.images, batch.images))
    torch.manual_seed(0)
    torch.testing.assert_close(task.reconstruct(disturbed, task.encode(disturbed))[0], predicted)
