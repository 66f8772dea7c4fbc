"""Floating-point operations of one sample, by formula, from nothing but sizes.

What counts is what torch's ``FlopCounterMode`` counts with plain (math) attention: matrix products and convolutions, two
operations for each multiply-add. Norms, softmax, activations, look-ups and the scatter of graph attention do not count.
Backward costs twice forward, one product for the gradient of each factor, but for two exceptions: a factor that needs no
gradient (pixels, position matrices) saves its product, and what no loss reads has no backward at all. What attention
kernels and activation checkpointing compute a second time does not count either: it is work of the execution, not of the model.

Shapes as in ``medvlp.model.arl``; I image tokens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add

from medvlp.model.config import ARLConfig, FusionConfig, KnowledgeConfig, LanguageConfig, VisionConfig
from medvlp.tasks.pretrain.config import MaskedImageConfig, Objective, PretextConfig
from medvlp.tasks.pretrain.masked_image import kept_patches

CHANNELS = 3


@dataclass(frozen=True)
class Flops:
    """Floating-point operations."""

    forward: float = 0
    backward: float = 0

    @property
    def total(self) -> float:
        """Of a forward and a backward."""
        return self.forward + self.backward

    def __add__(self, other: "Flops") -> "Flops":
        return Flops(self.forward + other.forward, self.backward + other.backward)

    def __mul__(self, times: float) -> "Flops":
        return Flops(self.forward * times, self.backward * times)

    def reached(self, by_a_loss: bool) -> "Flops":
        """The same, without backward if no loss reads what was computed."""
        return self if by_a_loss else Flops(self.forward)


@dataclass(frozen=True, kw_only=True)
class StepSizes:
    """Sizes that stand in no model configuration."""

    tokens: int
    """L: the width that texts are padded to."""
    entities: int
    """E."""
    vocabulary: int
    graph: int
    """N."""
    knowledge_width: int
    """K."""
    micro_batch: int
    """Samples that share one pass over the graph."""


def total(parts: Iterable[Flops]) -> Flops:
    """The sum of all parts."""
    return reduce(add, parts, Flops())


def pretraining_flops(model: ARLConfig, pretext: PretextConfig, sizes: StepSizes, *, slots: int, negatives: float = 0) -> dict[str, Flops]:
    """A sample's share of ``PretrainingTask``'s step, by part.

    Args:
        slots: masked tokens of a text that are predicted.
        negatives: images of the corpus that are encoded for each sample; none if matching's negatives come from the batch.
    """
    built, width, patches = set(pretext.weights.built()), model.fusion.width, model.vision.patches
    mlm, mim, itm, align = (objective in built for objective in Objective)
    image, kept = 1 + patches, 1 + kept_patches(patches, pretext.masked_image.share)
    paths = model.fusion.knowledge_paths
    whole_image, layer = mlm or itm or align, pretext.masked_image.layer
    text = whole_image or layer > 0
    parts = {
        "vision": vision_flops(model.vision, image).reached(whole_image) * (1 + negatives),
        "language": language_flops(model.language, sizes.tokens).reached(text) * 2,
        "projections": _product(image, model.vision.width, width).reached(whole_image) * (1 + negatives)
        + _product(sizes.tokens, model.language.width, width).reached(text) * 2,
        "knowledge": _knowledge_share(model.knowledge, sizes).reached(align or (paths > 0 and (mlm or itm or (mim and layer > 1)))),
    }
    if mlm or itm:
        parts["fusion"] = fusion_flops(model.fusion, sizes, image, rows=mlm + itm, pooled_read=itm)
    if mlm:
        parts["masked_language"] = _product(slots, width, width) + _product(slots, width, sizes.vocabulary)
    if mim:
        parts["vision_kept"] = vision_flops(model.vision, kept) + _product(kept, model.vision.width, width)
        parts["fusion_kept"] = image_features_flops(model.fusion, sizes, kept, layer)
        parts["masked_image"] = masked_image_flops(pretext.masked_image, model, kept)
    if itm:
        parts["matching"] = _product(1, 2 * width, 2)
    if align:
        head = _product(1, width, width) + _product(1, width, sizes.knowledge_width) + _product(1, sizes.knowledge_width, sizes.graph)
        parts["alignment"] = head * 2
    return parts


def question_answering_flops(model: ARLConfig, sizes: StepSizes, *, answers: int) -> dict[str, Flops]:
    """A sample's share of ``QuestionAnsweringTask``'s step, by part."""
    width, image = model.fusion.width, 1 + model.vision.patches
    return {
        "vision": vision_flops(model.vision, image),
        "language": language_flops(model.language, sizes.tokens),
        "projections": _product(image, model.vision.width, width) + _product(sizes.tokens, model.language.width, width),
        "knowledge": _knowledge_share(model.knowledge, sizes).reached(model.fusion.knowledge_paths > 0),
        "fusion": fusion_flops(model.fusion, sizes, image),
        "answering": _product(1, 2 * width, 2 * width) + _product(1, 2 * width, answers),
    }


def vision_flops(config: VisionConfig, tokens: int) -> Flops:
    """An image of which ``tokens`` (patches and class token) pass the blocks; all patches are embedded."""
    pixels = CHANNELS * config.patch**2
    return _product(config.patches, pixels, config.width, gradients=1) + _blocks(tokens, config.width, 4 * config.width) * config.layers


def language_flops(config: LanguageConfig, tokens: int) -> Flops:
    """A text of ``tokens``."""
    return _blocks(tokens, config.width, config.feed_forward) * config.layers


def graph_flops(config: KnowledgeConfig, entities: int, width: int) -> Flops:
    """One pass over the graph: its linear parts."""
    hidden = config.hidden_heads * config.hidden_width
    return _product(entities, width, hidden) + _product(entities, hidden, width)


def fusion_flops(config: FusionConfig, sizes: StepSizes, image: int, *, rows: int = 1, pooled_read: bool = True) -> Flops:
    """``ARL.fuse`` with ``rows`` pairs for each sample, of which one is pooled.

    Args:
        pooled_read: whether a loss reads the pooled pair.
    """
    texts = total(_text_layer(config, sizes, image, layer, heard=layer + 1 < config.layers) for layer in range(config.layers))
    pooled = _image_layer(config, sizes, image) + _product(1, config.width, config.width) * 2
    return (texts + _image_layer(config, sizes, image) * (config.layers - 1)) * rows + pooled.reached(pooled_read)


def image_features_flops(config: FusionConfig, sizes: StepSizes, image: int, layers: int) -> Flops:
    """``FusionEncoder.image_features``: the last of ``layers`` needs its image stream only."""
    texts = total(_text_layer(config, sizes, image, layer, heard=layer + 2 < layers) for layer in range(layers - 1))
    return texts + _image_layer(config, sizes, image) * layers


def masked_image_flops(config: MaskedImageConfig, model: ARLConfig, kept: int) -> Flops:
    """The decoder, from ``kept`` image tokens to all patches."""
    tokens, pixels = 1 + model.vision.patches, CHANNELS * model.vision.patch**2
    blocks = _blocks(tokens, config.width, 4 * config.width) * config.layers
    return _product(kept, model.fusion.width, config.width) + blocks + _product(tokens, config.width, pixels)


def _text_layer(config: FusionConfig, sizes: StepSizes, image: int, layer: int, *, heard: bool) -> Flops:
    """Text and knowledge streams of a fusion layer; ``heard``: whether a later one reads the knowledge stream."""
    tokens, width = sizes.tokens, config.width
    text = _attention(tokens, tokens, width) + _attention(tokens, image, width) + _product(tokens, width, width)
    text += _feed_forward(tokens, width, config.feed_forward)
    if layer >= config.knowledge_paths:
        return text
    entities, inner = sizes.entities, sizes.knowledge_width
    path = _attention(entities, entities, inner) + _product(image, width, inner) + _attention(entities, image, inner)
    path += _product(entities, inner, width) + _product(tokens, entities, width, gradients=1)
    if config.last_layer_knowledge or layer + 1 < config.knowledge_paths:
        path += _feed_forward(entities, inner, config.knowledge_feed_forward).reached(heard)
    return text + path


def _image_layer(config: FusionConfig, sizes: StepSizes, image: int) -> Flops:
    attention = _attention(image, image, config.width) + _attention(image, sizes.tokens, config.width)
    return attention + _feed_forward(image, config.width, config.feed_forward)


def _knowledge_share(config: KnowledgeConfig, sizes: StepSizes) -> Flops:
    return graph_flops(config, sizes.graph, sizes.knowledge_width) * (1 / sizes.micro_batch)


def _blocks(tokens: int, width: int, hidden: int) -> Flops:
    """One transformer block."""
    return _attention(tokens, tokens, width) + _feed_forward(tokens, width, hidden)


def _attention(queries: int, context: int, width: int) -> Flops:
    """Query and output projections, key and value projections, logits and their mix of values; context as wide as queries."""
    return (_product(queries, width, width) + _product(context, width, width) + _product(queries, width, context)) * 2


def _feed_forward(tokens: int, width: int, hidden: int) -> Flops:
    return _product(tokens, width, hidden) * 2


def _product(rows: int, inner: int, columns: int, gradients: int = 2) -> Flops:
    """[rows, inner] @ [inner, columns], of which ``gradients`` factors need one."""
    forward = 2 * rows * inner * columns
    return Flops(forward, gradients * forward)
