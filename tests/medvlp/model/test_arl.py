"""ARL assembled: shapes, and what one row may know of another."""

import torch
from torch import nn

from medvlp.model.arl import ARL, Streams, initialise
from tests.medvlp.tiny import VOCABULARY, bundle, model_config, pretrain_batch, pretraining_module


def fused(arl: ARL, batch) -> tuple[torch.Tensor, torch.Tensor]:
    image = arl.encode_images(arl.vision.normalise(batch.images))
    text = arl.encode_texts(batch.token_ids, batch.token_mask)
    return arl.fuse(arl.streams(text, image, arl.knowledge(), batch.token_mask, batch.entity_ids, batch.entity_mask, batch.entity_tokens))


def test_shapes() -> None:
    batch = pretrain_batch(4)
    text, pooled = fused(pretraining_module().arl.eval(), batch)
    assert text.shape == (*batch.token_ids.shape, 16)
    assert pooled.shape == (4, 32)
    assert (pooled.abs() <= 1).all()


def test_rows_do_not_know_each_other() -> None:
    arl, whole = pretraining_module().arl.eval(), pretrain_batch(5)
    text, pooled = fused(arl, whole)
    mixed = type(whole)(**{
        name: value[[3, 0]] if isinstance(value, torch.Tensor) and len(value) else value for name, value in vars(whole).items()
    })  # fmt: skip
    torch.testing.assert_close(fused(arl, mixed)[0], text[[3, 0]])
    torch.testing.assert_close(fused(arl, mixed)[1], pooled[[3, 0]])


def test_streams_are_joined_row_by_row() -> None:
    arl, batch = pretraining_module().arl.eval(), pretrain_batch(3)
    image, text = torch.randn(3, 5, 16), torch.randn(*batch.token_ids.shape, 16)
    entities = (batch.entity_ids, batch.entity_mask, batch.entity_tokens)
    one = arl.streams(text, image, arl.knowledge(), batch.token_mask, *entities)
    other = arl.streams(text.flip(0), image, arl.knowledge(), batch.token_mask, *entities)
    both_text, both_pooled = arl.fuse(Streams.cat([one, other]))
    for index, streams in enumerate((one, other)):
        alone_text, alone_pooled = arl.fuse(streams)
        torch.testing.assert_close(both_text.chunk(2)[index], alone_text)
        torch.testing.assert_close(both_pooled.chunk(2)[index], alone_pooled)
    torch.testing.assert_close(arl.fuse(Streams.cat([one, other]), pooled_rows=3)[1], both_pooled[3:])


def test_where_there_is_no_entity_the_stream_is_zero() -> None:
    arl, batch = pretraining_module().arl.eval(), pretrain_batch(3)
    graph = arl.knowledge()
    entities = (batch.entity_ids, batch.entity_mask, batch.entity_tokens)
    streams = arl.streams(torch.randn(3, 24, 16)[:, : batch.token_ids.shape[1]], torch.randn(3, 5, 16), graph, batch.token_mask, *entities)
    torch.testing.assert_close(streams.entities[batch.entity_mask], graph[batch.entity_ids[batch.entity_mask]])
    assert not streams.entities[~batch.entity_mask].any()


def test_the_stream_types_differ() -> None:
    arl = pretraining_module().arl.eval()
    tokens = torch.tensor([[0, 5, 2]])
    states = arl.text_projection(arl.language(tokens, tokens > -1))
    torch.testing.assert_close(arl.encode_texts(tokens, tokens > -1), states + arl.stream_type.weight[0])
    pixels = torch.randn(1, 3, 16, 16)
    torch.testing.assert_close(arl.encode_images(pixels), arl.image_projection(arl.vision(pixels)) + arl.stream_type.weight[1])


def test_new_layers_start_as_berts_and_the_encoders_as_their_own() -> None:
    torch.manual_seed(0)
    arl = ARL(model_config(), bundle(), vocabulary=VOCABULARY, padding_id=1)
    linear = [module for module in arl.fusion.modules() if isinstance(module, nn.Linear)]
    weights = torch.cat([module.weight.flatten() for module in linear])
    assert abs(weights.std() - model_config().initial_deviation) < 0.001
    assert not any(module.bias.any() for module in linear)
    assert torch.equal(arl.knowledge.embedding.weight, bundle().vectors)


def test_initialise_reaches_every_kind_of_layer() -> None:
    module = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Embedding(3, 4))
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(9.0)
    initialise(module, 0.02)
    assert module[0].weight.std() < 0.1
    assert module[0].bias.tolist() == module[1].bias.tolist() == [0.0] * 4
    assert module[1].weight.tolist() == [1.0] * 4
    assert module[2].weight.abs().max() < 0.2
