"""Every output of the authors' code, from their weights in our model."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from medvlp.interchange.names import place_of
from medvlp.model.arl import Streams
from medvlp.model.vision import patchify
from medvlp.optimisation import OptimiserConfig, build_optimiser, learning_rate_factor, parameter_groups
from medvlp.tasks.pretrain.masked_image import normalised_patches, patch_order
from medvlp.tasks.vqa.module import answer_losses
from tests.medvlp.interchange.reference import Everything, Reference, entities

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def reference(shared_reference: Path) -> Reference:
    return Reference.load(shared_reference / "parity_small.pt")


@pytest.fixture(scope="module")
def task(reference: Reference) -> Everything:
    return reference.task()


@pytest.fixture(autouse=True)
def same_patches(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's random numbers, in the place of those that choose the patches."""
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: reference.content["noise"].reshape(shape))


def close(reference: Reference, name: str, ours: Tensor) -> None:
    """The issue of the file is that this holds."""
    torch.testing.assert_close(ours, reference.outputs[name].to(ours.dtype), rtol=0, atol=1e-5, msg=lambda text: f"{name}: {text}")


@pytest.fixture(scope="module")
def streams(reference: Reference, task: Everything) -> Streams:
    """What enters fusion: unmasked texts with all of their images."""
    with torch.no_grad():
        encoded = task.encode(reference.batch)
        return task.text_streams(reference.batch, encoded, encoded.image)


@pytest.fixture(scope="module")
def layers(task: Everything, streams: Streams) -> list[SimpleNamespace]:
    """Every fusion layer with the streams that enter and leave it."""
    found = []
    states = streams.text, streams.image, streams.entities
    with torch.no_grad():
        for layer in task.arl.fusion.layers:
            left = layer(*states, streams.context)
            found.append(SimpleNamespace(layer=layer, entering=states, leaving=left))
            states = left
    return found


@torch.no_grad()
def test_encoders(reference: Reference, task: Everything) -> None:
    batch = reference.batch
    images = task.arl.vision.normalise(batch.images)
    close(reference, "infer.clip_out", task.arl.vision(images))
    close(reference, "infer.roberta_out", task.arl.language(batch.token_ids, batch.token_mask))
    close(reference, "infer.patched_images", patchify(images, 16))
    encoded = task.encode(batch)
    close(reference, "unimodal.image_cls", encoded.image[:, 0])
    close(reference, "unimodal.text_cls", encoded.text[:, 0])
    close(reference, "gat.entities", encoded.graph)
    close(reference, "gat.ent_feats", task.text_streams(batch, encoded, encoded.image).entities)


def test_streams_of_every_fusion_layer(reference: Reference, layers: list[SimpleNamespace]) -> None:
    _, present = entities(reference.raw["text_ent_ids"])
    for index, states in enumerate([layers[0].entering, *(layer.leaving for layer in layers)]):
        text, image, knowledge = states
        close(reference, f"infer.stream.x{index}", text)
        close(reference, f"infer.stream.y{index}", image)
        theirs = reference.outputs[f"infer.stream.z{index}"]
        torch.testing.assert_close(knowledge[present], theirs[present], rtol=0, atol=1e-5)


@torch.no_grad()
def test_final_features(reference: Reference, task: Everything, streams: Streams, layers: list[SimpleNamespace]) -> None:
    text, pooled = task.arl.fuse(streams)
    close(reference, "infer.multi_modal_text_feats", text)
    close(reference, "infer.multi_modal_image_feats", layers[-1].leaving[1])
    close(reference, "infer.multi_modal_cls_feats", pooled)


@torch.no_grad()
def test_attention_maps(reference: Reference, streams: Streams, layers: list[SimpleNamespace]) -> None:
    context = streams.context
    for index, found in enumerate(layers):
        layer, (text, image, knowledge) = found.layer, found.entering
        close(reference, f"infer.attn.text2image.layer{index}.0", layer.text_self_attention.attention_map(text, context.text_bias))
        attended = layer.text_self_attention(text, context.text_bias)
        close(reference, f"infer.attn.text2image.layer{index}.1", layer.text_cross_attention.attention_map(attended, context_BCV=image))
        close(reference, f"infer.attn.image2text.layer{index}.0", layer.image_self_attention.attention_map(image))
        attended = layer.image_self_attention(image)
        looked = layer.image_cross_attention.attention_map(attended, context.text_bias, text)
        close(reference, f"infer.attn.image2text.layer{index}.1", looked)
        _, present = entities(reference.raw["text_ent_ids"])
        ours = layer.knowledge.image_attention(image, knowledge, context).transpose(1, 2)[present]
        theirs = reference.outputs[f"infer.attn.ent2image.layer{index}.0"].transpose(1, 2)[present]
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@torch.no_grad()
def test_masked_language(reference: Reference, task: Everything) -> None:
    batch = reference.batch
    encoded = task.encode(batch)
    text, _ = task.arl.fuse(task.masked_streams(batch, encoded, encoded.image))
    everywhere = torch.arange(text.shape[1]).expand(len(text), -1)
    assert task.masked_language is not None
    close(reference, "mlm.logits", task.masked_language(text, everywhere))
    close(reference, "mlm.loss", task(batch).losses["mlm"])


@torch.no_grad()
def test_masked_image(reference: Reference, task: Everything) -> None:
    batch, outputs = reference.batch, reference.outputs
    encoded = task.encode(batch)
    kept, restore = patch_order(reference.content["noise"], 0.75)
    assert torch.equal(restore, outputs["mim.ids_restore"])
    assert torch.equal(restore >= kept.shape[1], outputs["mim.mask"].bool())
    streams = task.text_streams(batch, encoded, task.arl.encode_images(encoded.pixels, kept))
    features = task.arl.fusion.image_features(streams.text, streams.image, streams.entities, streams.context, layers=1)
    close(reference, "mim.feats_in", features)
    close(reference, "mim.pred", task.reconstruct(batch, encoded)[0])
    close(reference, "mim.target", normalised_patches(patchify(encoded.pixels, 16)))
    close(reference, "mim.loss", task(batch).losses["mim"])


@torch.no_grad()
def test_matching(reference: Reference, task: Everything) -> None:
    batch = reference.batch
    encoded = task.encode(batch)
    assert task.matching is not None
    images = torch.where(batch.matched[:, None, None], encoded.image, encoded.shown[batch.partner])
    _, pooled = task.arl.fuse(task.text_streams(batch, encoded, images))
    close(reference, "itm.logits", task.matching(pooled))
    close(reference, "itm.loss", task(batch).losses["itm"])


@torch.no_grad()
def test_alignment(reference: Reference, task: Everything) -> None:
    image, text = task.alignment(task.encode(reference.batch))
    image_labels, text_labels = task.alignment_labels(reference.batch)
    assert torch.equal(image_labels, reference.raw["img_labels"].float())
    assert torch.equal(text_labels, reference.raw["txt_labels"].float())
    close(reference, "align.img_logits", image)
    close(reference, "align.txt_logits", text)
    close(reference, "align.loss", task(reference.batch).losses["align"])


@torch.no_grad()
def test_question_answering_and_classification(reference: Reference, task: Everything, streams: Streams) -> None:
    _, pooled = task.arl.fuse(streams)
    logits, labels = task.answering(pooled), torch.tensor(reference.raw["vqa_labels"])[:, 0]
    close(reference, "vqa.logits", logits)
    close(reference, "vqa.loss", answer_losses(logits, labels).mean())
    logits = task.classification(pooled)
    close(reference, "cls.logits", logits)
    close(reference, "cls.loss", F.cross_entropy(logits, reference.raw["cls_labels"]))


@torch.no_grad()
def test_retrieval(reference: Reference, task: Everything) -> None:
    raw, batch = reference.raw, reference.batch
    encoded = task.encode(batch)

    def scores(prefix: str, image: Tensor) -> Tensor:
        ids, present = entities(raw[f"{prefix}_ent_ids"])
        mask = raw[f"{prefix}_masks"].bool()
        text = task.arl.encode_texts(raw[f"{prefix}_ids"], mask)
        streams = task.arl.streams(text, image, encoded.graph, mask, ids, present, raw[f"{prefix}_pos_matrices"].bool())
        return task.ranking(task.arl.fuse(streams)[1])[:, 0]

    ranked = torch.stack([scores(prefix, encoded.image) for prefix in ("text", "false_text_0", "false_text_1")], dim=1)
    close(reference, "irtr.score", ranked)
    close(reference, "irtr.loss", F.cross_entropy(ranked, torch.zeros(len(ranked), dtype=torch.int64)))
    everyone = [scores("text", encoded.image[row : row + 1].expand(len(batch), -1, -1)) for row in range(len(batch))]
    close(reference, "irtr.recall_scores", torch.stack(everyone))


def test_total_and_gradients(reference: Reference, task: Everything) -> None:
    task.zero_grad()
    output = task(reference.batch)
    close(reference, "pretrain.total_loss", output.loss.detach())
    output.loss.backward()
    theirs = dict(reference.content["grad_norms"])
    compared = 0
    for name, ours in gradients(reference, task):
        expected = theirs.pop(name)
        if name.endswith(("key.bias",)):
            continue
        if expected == 0:
            assert ours == 0, name
        else:
            assert ours == pytest.approx(expected, rel=1e-4), name
        compared += 1
    assert compared > 250
    assert not theirs, f"gradients of the authors that we have not: {list(theirs)}"


OPTIMISER = OptimiserConfig(learning_rate=1e-4, warmup=0.2, decayed="authors", clip_norm=0)


def test_optimiser_groups(reference: Reference, task: Everything) -> None:
    groups = parameter_groups(task, task.arl, OPTIMISER, knowledge_multiplier=OPTIMISER.head_multiplier)
    ours = {id(parameter): (group["lr"], group["weight_decay"]) for group in groups for parameter in group["params"]}
    parameters = dict(task.named_parameters())
    compared = 0
    for group in reference.content["optim"]["groups"]:
        for name in group["names"]:
            place = place_of(name)
            assert place is not None
            for part in place.ours:
                assert ours[id(parameters[part])] == pytest.approx((group["lr"], group["weight_decay"])), name
                compared += 1
    assert compared > 300


def test_five_steps(reference: Reference) -> None:
    """Losses before every step. Torch's AdamW divides by a slightly smaller epsilon and decays before the step, theirs behind."""
    optim, task = reference.content["optim"], reference.task()
    optimiser = build_optimiser(parameter_groups(task, task.arl, OPTIMISER, knowledge_multiplier=OPTIMISER.head_multiplier), OPTIMISER)
    peaks = [group["lr"] for group in optimiser.param_groups]
    for step, (rates, expected) in enumerate(zip(optim["lrs"], optim["trace"], strict=True)):
        factor = learning_rate_factor(step, total=10, warmup=OPTIMISER.warmup)
        assert factor * OPTIMISER.learning_rate == pytest.approx(float(rates[0]))
        for group, peak in zip(optimiser.param_groups, peaks, strict=True):
            group["lr"] = factor * peak
        optimiser.zero_grad()
        output = task(reference.batch)
        found = torch.stack([output.loss.detach(), *(output.losses[name] for name in ("mlm", "mim", "itm", "align"))])
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        output.loss.backward()
        optimiser.step()


def gradients(reference: Reference, task: Everything) -> Iterator[tuple[str, float]]:
    """Norm of the gradient of every parameter that has one there, by their names."""
    ours = dict(task.named_parameters())
    for name in reference.content["grad_norms"]:
        place = place_of(name)
        assert place is not None
        parts = [ours[part].grad for part in place.ours]
        yield name, float(torch.cat([torch.zeros(1) if part is None else part.flatten() for part in parts]).norm())
