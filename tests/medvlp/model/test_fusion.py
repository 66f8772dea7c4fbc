"""The fusion stack: what each stream may hear, and that what is left out is not needed."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from medvlp.model.config import FusionConfig
from medvlp.model.fusion import FusionEncoder, FusionLayer, TextContext
from tests.medvlp.tiny import model_config

SMALL = model_config().fusion
KNOWLEDGE_WIDTH = 8

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, TextContext]


def encoder(config: FusionConfig = SMALL) -> FusionEncoder:
    torch.manual_seed(1)
    fusion = FusionEncoder(config, KNOWLEDGE_WIDTH)
    with torch.no_grad():
        for parameter in fusion.parameters():
            parameter.normal_(std=0.3)
    return fusion.eval()


def inputs(tokens: torch.Tensor | None = None, entities: torch.Tensor | None = None, rows: int = 3) -> Inputs:
    """Text of 6 tokens, 5 image tokens, 4 entities; entity e names tokens e and e + 1."""
    torch.manual_seed(0)
    text, image, knowledge = torch.randn(rows, 6, 16), torch.randn(rows, 5, 16), torch.randn(rows, 4, KNOWLEDGE_WIDTH)
    token_mask = torch.ones(rows, 6, dtype=torch.bool) if tokens is None else tokens
    entity_mask = torch.ones(rows, 4, dtype=torch.bool) if entities is None else entities
    named = (torch.eye(4, 6) + torch.eye(4, 7)[:, :6].roll(1, 1)).bool().expand(rows, -1, -1)
    return text, image, knowledge * entity_mask[..., None], TextContext.build(token_mask, entity_mask, named, text)


def test_shapes() -> None:
    text, image, entities = encoder()(*inputs())
    assert (text.shape, image.shape, entities.shape) == ((3, 6, 16), (3, 5, 16), (3, 4, KNOWLEDGE_WIDTH))


def test_a_layer_is_the_authors_layer() -> None:
    # Written out from the specification of the authors' code, §3.5.
    config = replace(SMALL, layers=1, last_layer_knowledge=True)
    layer = encoder(config).layers[0]
    assert isinstance(layer, FusionLayer)
    x, y, z, context = inputs()
    path = layer.knowledge
    assert path is not None
    assert path.feed_forward is not None
    a = layer.text_self_attention(x, context.text_bias)
    k = path.self_attention(z, context.entity_bias)
    k = path.cross_attention(k, context_BCV=path.image_to_knowledge(y))
    a = layer.text_cross_attention(a, context_BCV=y)
    kt = torch.einsum("bel,beh->blh", context.entity_tokens, path.knowledge_to_text(k))
    a = F.layer_norm(a + layer.knowledge_output(a + kt), (16,), layer.knowledge_norm.weight, layer.knowledge_norm.bias, 1e-12)
    b = layer.image_cross_attention(layer.image_self_attention(y), context.text_bias, x)
    text, image, entities = layer(x, y, z, context)
    torch.testing.assert_close(text, layer.text_feed_forward(a))
    torch.testing.assert_close(image, layer.image_feed_forward(b))
    torch.testing.assert_close(entities, path.feed_forward(k))


def test_padding_is_never_heard() -> None:
    mask = torch.tensor([[True] * 6, [True] * 4 + [False] * 2, [True] + [False] * 5])
    text, image, entities, context = inputs(tokens=mask)
    fusion = encoder()
    expected = fusion(text, image, entities, context)
    disturbed = torch.where(mask[..., None], text, 100 * torch.randn_like(text))
    changed = fusion(disturbed, image, entities, context)
    torch.testing.assert_close(changed[0][mask], expected[0][mask])
    torch.testing.assert_close(changed[1], expected[1])
    torch.testing.assert_close(changed[2], expected[2])


def test_absent_entities_are_never_heard() -> None:
    mask = torch.tensor([[True] * 4, [True, False, True, False], [False] * 4])
    text, image, entities, context = inputs(entities=mask)
    fusion = encoder()
    expected = fusion(text, image, entities, context)
    changed = fusion(text, image, torch.where(mask[..., None], entities, 100 * torch.randn_like(entities)), context)
    torch.testing.assert_close(changed[0], expected[0])
    torch.testing.assert_close(changed[1], expected[1])
    torch.testing.assert_close(changed[2][mask], expected[2][mask])


def test_entities_speak_to_their_tokens_and_through_them_to_all() -> None:
    text, image, entities, context = inputs()
    layer = encoder().layers[0]
    changed = layer(text, image, entities + torch.randn_like(entities[:, :1]) * torch.eye(4)[0][:, None], context)[0]
    moved = (changed - layer(text, image, entities, context)[0]).abs().amax((0, 2)) > 1e-6
    # In one layer all entities attend to each other, and speak to tokens 0 to 4 only.
    assert moved.tolist() == [True] * 5 + [False]
    whole = encoder()
    assert ((whole(text, image, entities * 2, context)[0] - whole(text, image, entities, context)[0]).abs().amax((0, 2)) > 1e-6).all()


def test_a_text_without_entities_is_finite_and_trains() -> None:
    text, image, entities, context = inputs(entities=torch.zeros(3, 4, dtype=torch.bool))
    fusion = encoder()
    outputs = fusion(text.requires_grad_(), image, entities, context)
    assert all(output.isfinite().all() for output in outputs)
    sum(output.sum() for output in outputs).backward()
    assert all(parameter.grad is None or parameter.grad.isfinite().all() for parameter in fusion.parameters())


@pytest.mark.parametrize("pooled_rows", [0, 1, 3])
def test_the_last_image_layer_is_computed_for_the_last_rows_only(pooled_rows: int) -> None:
    text, image, entities = encoder()(*inputs())
    short = encoder()(*inputs(), pooled_rows)
    torch.testing.assert_close(short[0], text)
    torch.testing.assert_close(short[1], image[3 - pooled_rows :])
    torch.testing.assert_close(short[2], entities)


@pytest.mark.parametrize("layers", [0, 1, 2, 3])
def test_image_features_are_those_of_whole_layers(layers: int) -> None:
    fusion = encoder()
    text, image, entities, context = inputs()
    for layer in list(fusion.layers)[:layers]:
        text, image, entities = layer(text, image, entities, context)
    torch.testing.assert_close(fusion.image_features(*inputs(), layers), image)


def test_knowledge_paths_end_where_nobody_hears_them() -> None:
    layers = encoder().layers
    assert [layer.knowledge is not None for layer in layers] == [True, True, False]
    assert [layer.knowledge.feed_forward is not None for layer in layers[:2]] == [True, False]
    whole = encoder(replace(SMALL, last_layer_knowledge=True)).layers
    assert all(layer.knowledge is not None and layer.knowledge.feed_forward is not None for layer in whole)


def test_entity_attention_is_a_distribution_per_layer_with_knowledge() -> None:
    maps = encoder().entity_attention(*inputs())
    assert maps.shape == (2, 3, 4, 5)
    torch.testing.assert_close(maps.sum(-1), torch.ones(2, 3, 4))
