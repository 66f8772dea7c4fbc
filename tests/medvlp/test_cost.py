"""Costs by formula are, to the last operation, what torch counts on the real modules."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from medvlp.cost import (
    Flops,
    StepSizes,
    fusion_flops,
    graph_flops,
    image_features_flops,
    language_flops,
    masked_image_flops,
    pretraining_flops,
    question_answering_flops,
    total,
    vision_flops,
)
from medvlp.data.batch import PretrainBatch
from medvlp.data.synthetic import synthetic_batch
from medvlp.model.arl import Streams
from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.model.fusion import TextContext
from medvlp.optimisation import freeze_unreached
from medvlp.tasks.pretrain.config import MaskedImageConfig, ObjectiveWeights, PretextConfig
from medvlp.tasks.pretrain.module import PretrainingTask
from medvlp.tasks.vqa.batch import synthetic_questions
from medvlp.tasks.vqa.module import QuestionAnsweringTask
from tests.medvlp.tiny import bundle, model_config

BATCH, SLOTS, ANSWERS = 3, 5, 7
SIZES = StepSizes(tokens=12, entities=5, vocabulary=31, graph=8, knowledge_width=8, micro_batch=BATCH)
OTHER = ARLConfig(
    vision=VisionConfig(width=24, layers=1, heads=3, patch=4, image_size=24),
    language=LanguageConfig(width=20, layers=2, heads=4, feed_forward=28, dropout=0.0, positions=40, architecture="bert"),
    knowledge=KnowledgeConfig(hidden_heads=3, hidden_width=2, dropout=0.0),
    fusion=FusionConfig(width=12, layers=4, heads=2, feed_forward=20, dropout=0.0, knowledge_heads=4, knowledge_feed_forward=10),
)
"""No two sizes alike."""
MODELS = {
    "tiny": model_config(),
    "other": OTHER,
    "last knowledge path": replace(OTHER, fusion=replace(OTHER.fusion, last_layer_knowledge=True)),
    "one layer": replace(OTHER, fusion=replace(OTHER.fusion, layers=1)),
}
MASKED_IMAGE = MaskedImageConfig(share=0.6, layer=1, width=8, layers=2, heads=2)


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request: pytest.FixtureRequest) -> ARLConfig:
    """Sizes of a model."""
    return request.param


def pretext(layer: int = 1, weights: Sequence[float] = (1, 1, 1, 1)) -> PretextConfig:
    names = ("mlm", "mim", "itm", "align")
    return PretextConfig(
        weights=ObjectiveWeights(**dict(zip(names, weights, strict=True))), masked_image=replace(MASKED_IMAGE, layer=layer)
    )


def build(model: ARLConfig, config: PretextConfig) -> PretrainingTask:
    torch.manual_seed(0)
    return PretrainingTask(model, config, bundle(SIZES.knowledge_width), vocabulary=SIZES.vocabulary, padding_id=1)


def counted(run: Callable[[], Tensor]) -> Flops:
    """What torch counts of ``run`` and of the backward from the sum of what it returns."""
    # Torch has no formula for the fused attention of the CPU, and counts for that of the GPU what it computes twice.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        output = run()
        forward = counter.get_total_flops()
        output.sum().backward()
    return Flops(forward, counter.get_total_flops() - forward)


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, requires_grad=True)


def streams(model: ARLConfig, image: int, rows: int = BATCH) -> Streams:
    """Random streams, as differentiable as those of the encoders."""
    masks = torch.ones(rows, SIZES.tokens, dtype=torch.bool), torch.ones(rows, SIZES.entities, dtype=torch.bool)
    text = random(rows, SIZES.tokens, model.fusion.width)
    context = TextContext.build(*masks, torch.ones(rows, SIZES.entities, SIZES.tokens, dtype=torch.bool), text)
    return Streams(text, random(rows, image, model.fusion.width), random(rows, SIZES.entities, SIZES.knowledge_width), context)


@pytest.mark.parametrize("kept", [None, 2])
def test_vision(model: ARLConfig, kept: int | None) -> None:
    encoder = build(model, pretext()).arl.vision
    side, patches = model.vision.image_size, model.vision.patches
    index = None if kept is None else torch.arange(kept).expand(BATCH, -1)
    found = counted(lambda: encoder(torch.randn(BATCH, 3, side, side), index))
    assert found == vision_flops(model.vision, 1 + (patches if kept is None else kept)) * BATCH


def test_language(model: ARLConfig) -> None:
    encoder = build(model, pretext()).arl.language
    tokens = torch.ones(BATCH, SIZES.tokens, dtype=torch.long)
    assert counted(lambda: encoder(tokens * 2, tokens.bool())) == language_flops(model.language, SIZES.tokens) * BATCH


def test_knowledge(model: ARLConfig) -> None:
    assert counted(build(model, pretext()).arl.knowledge) == graph_flops(model.knowledge, SIZES.graph, SIZES.knowledge_width)


@pytest.mark.parametrize("rows", [1, 2])
def test_fusion(model: ARLConfig, rows: int) -> None:
    arl, image = build(model, pretext()).arl, 1 + model.vision.patches

    def run() -> Tensor:
        text, pooled = arl.fuse(streams(model, image, rows * BATCH), pooled_rows=BATCH)
        return text.sum() + pooled.sum()

    assert counted(run) == fusion_flops(model.fusion, SIZES, image, rows=rows) * BATCH


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_fusion_up_to_the_masked_image_layer(layers: int) -> None:
    fusion, given = build(OTHER, pretext()).arl.fusion, streams(OTHER, 4)
    found = counted(lambda: fusion.image_features(given.text, given.image, given.entities, given.context, layers))
    assert found == image_features_flops(OTHER.fusion, SIZES, 4, layers) * BATCH


def test_heads(model: ARLConfig) -> None:
    task, width, image = build(model, pretext()), model.fusion.width, 1 + model.vision.patches
    parts = pretraining_flops(model, pretext(), SIZES, slots=SLOTS)
    text = random(BATCH, SIZES.tokens, width)
    slots = torch.arange(SLOTS).expand(BATCH, -1)
    restore = torch.arange(image - 1).expand(BATCH, -1)
    graph = random(SIZES.graph, SIZES.knowledge_width)
    assert task.masked_language is not None
    assert task.masked_image is not None
    assert task.matching is not None
    assert task.image_alignment is not None
    language, masked_image, matching, alignment = task.masked_language, task.masked_image, task.matching, task.image_alignment
    assert counted(lambda: language(text, slots)) == parts["masked_language"] * BATCH
    assert counted(lambda: masked_image(random(BATCH, 3, width), restore)) == masked_image_flops(MASKED_IMAGE, model, 3) * BATCH
    assert counted(lambda: matching(random(BATCH, 2 * width))) == parts["matching"] * BATCH
    assert counted(lambda: alignment(text, graph)) * 2 == parts["alignment"] * BATCH


ALL = (1, 1, 1, 1)
STEPS = [
    *((weights, 2) for weights in [ALL, (1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1), (1, 1, 0, 1), (0, 1, 1, 0), (1, 0, 1, 0)]),
    *((weights, layer) for weights in [ALL, (0, 1, 0, 0)] for layer in (0, 1)),
]
"""Weights of the objectives, and the layer that the masked image is taken at."""


@pytest.mark.parametrize(("weights", "layer"), STEPS, ids=str)
def test_the_step_is_the_sum_of_its_parts(model: ARLConfig, weights: tuple[int, ...], layer: int) -> None:
    config = pretext(min(layer, model.fusion.layers), weights)
    check_step(model, config, random_batch(model))


def test_negatives_of_the_corpus_are_images_too() -> None:
    batch = random_batch(OTHER)
    images, weight = batch.images[:2], torch.ones(2)
    batch = replace(batch, negative_images=images, negative_weight=weight, partner=torch.tensor([0, 3, 4]))
    check_step(OTHER, pretext(), batch, negatives=2 / BATCH)


def random_batch(model: ARLConfig) -> PretrainBatch:
    return synthetic_batch(
        BATCH,
        image_size=model.vision.image_size,
        width=SIZES.tokens,
        entities=SIZES.entities,
        slots=SLOTS,
        vocabulary=SIZES.vocabulary,
        graph=SIZES.graph,
    )


def check_step(model: ARLConfig, config: PretextConfig, batch: PretrainBatch, negatives: float = 0) -> None:
    task = build(model, config)
    expected = total(pretraining_flops(model, config, SIZES, slots=SLOTS, negatives=negatives).values()) * BATCH
    freeze_unreached(task, task(batch).loss)
    found = counted(lambda: task(batch).loss)
    # Shares of a sample are fractions: exact but for the rounding of the sum.
    assert (found.forward, found.backward) == pytest.approx((expected.forward, expected.backward), rel=1e-12)


def test_question_answering(model: ARLConfig) -> None:
    torch.manual_seed(0)
    task = QuestionAnsweringTask(model, bundle(SIZES.knowledge_width), answers=ANSWERS, vocabulary=SIZES.vocabulary, padding_id=1)
    batch = synthetic_questions(
        BATCH,
        image_size=model.vision.image_size,
        width=SIZES.tokens,
        entities=SIZES.entities,
        vocabulary=SIZES.vocabulary,
        graph=SIZES.graph,
        answers=ANSWERS,
    )
    expected = total(question_answering_flops(model, SIZES, answers=ANSWERS).values()) * BATCH
    found = counted(lambda: task(batch).loss)
    assert (found.forward, found.backward) == pytest.approx((expected.forward, expected.backward), rel=1e-12)


def test_the_graph_is_shared_by_the_micro_batch() -> None:
    alone, shared = (
        pretraining_flops(OTHER, pretext(), replace(SIZES, micro_batch=size), slots=SLOTS)["knowledge"].total for size in (1, 16)
    )
    assert alone == 16 * shared


def test_the_paper_s_configuration_costs_what_is_published() -> None:
    # GFLOP forward of a sample, measured on the authors' code.
    model = ARLConfig()
    sizes = StepSizes(tokens=64, entities=24, vocabulary=50265, graph=5000, knowledge_width=256, micro_batch=1)
    parts = pretraining_flops(model, PretextConfig(), sizes, slots=10)
    published = {"vision": 54.9, "masked_language": 0.8, "masked_image": 5.5, "knowledge": 2.62}
    assert {name: parts[name].forward / 1e9 for name in published} == pytest.approx(published, rel=0.03)
    assert parts["language"].forward / 2e9 == pytest.approx(11.1, rel=0.01)
    assert parts["vision_kept"].forward / 1e9 == pytest.approx(13.5, rel=0.02)
