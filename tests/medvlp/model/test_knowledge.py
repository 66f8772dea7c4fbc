"""The knowledge encoder: messages along the edges and nowhere else."""

from dataclasses import replace

import pytest
import torch
from torch_geometric.nn import GATConv

from medvlp.model.config import KnowledgeConfig
from medvlp.model.knowledge import BaggedGATConv, KnowledgeEncoder
from tests.medvlp.tiny import NAMES, bundle

CONFIG = KnowledgeConfig(hidden_heads=2, hidden_width=4, dropout=0.2)


def encoder(knowledge=None) -> KnowledgeEncoder:
    torch.manual_seed(0)
    return KnowledgeEncoder(CONFIG, knowledge or bundle()).eval()


def test_every_entity_gets_a_vector_of_the_bundles_width() -> None:
    encoded = encoder(bundle(width=12))
    assert encoded.width == 12
    assert encoded().shape == (len(NAMES), 12)


def test_it_starts_from_the_bundles_vectors_without_sharing_them() -> None:
    knowledge = bundle()
    before = knowledge.vectors.clone()
    encoded = encoder(knowledge)
    assert torch.equal(encoded.embedding.weight, before)
    with torch.no_grad():
        encoded.embedding.weight.zero_()
    assert torch.equal(knowledge.vectors, before)
    assert encoded.embedding.weight.requires_grad


def test_two_layers_carry_news_from_head_to_tail_over_two_edges() -> None:
    encoded = encoder()
    before = encoded()
    with torch.no_grad():
        encoded.embedding.weight[2] += torch.randn(8)
    moved = ((encoded() - before).abs().amax(1) > 1e-6).nonzero().flatten().tolist()
    # The ring leads from 2 to 3 to 4.
    assert moved == [2, 3, 4]


def test_self_loops_count_once() -> None:
    knowledge = bundle()
    looped = replace(knowledge, triples=torch.cat([knowledge.triples, torch.tensor([[2, 0, 2]])]))
    torch.testing.assert_close(encoder(looped)(), encoder(knowledge)())


def test_parallel_edges_count_each() -> None:
    # As in the authors' graph, where relations are forgotten and pairs are not made unique.
    knowledge = bundle()
    doubled = replace(knowledge, triples=torch.cat([knowledge.triples, knowledge.triples[2:3]]))
    assert not torch.allclose(encoder(doubled)()[3], encoder(knowledge)()[3])


@pytest.mark.parametrize("heads", [1, 3])
def test_bags_sum_what_graph_attention_sums(heads: int) -> None:
    torch.manual_seed(0)
    vectors = torch.randn(30, 8, requires_grad=True)
    edges = torch.randint(20, (2, 90))  # parallel ones too, and entities without any
    bagged, plain = (kind(8, 4, heads, add_self_loops=False) for kind in (BaggedGATConv, GATConv))
    plain.load_state_dict(bagged.state_dict())
    seen = []
    for layer in (bagged, plain):
        output = layer(vectors, edges)
        seen.append([output, *torch.autograd.grad(output.square().sum(), [vectors, *layer.parameters()])])
    torch.testing.assert_close(seen[0], seen[1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_bags_can_be_summed_in_half_precision_and_under_autocast(dtype: torch.dtype) -> None:
    encoded = encoder().to(dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.float32):
        found = encoded()
    found.float().sum().backward()
    torch.testing.assert_close(found.float(), encoder()(), rtol=0.05, atol=0.05)


def test_dropout_acts_in_training_only() -> None:
    encoded = encoder()
    assert torch.equal(encoded(), encoded())
    encoded.train()
    assert not torch.equal(encoded(), encoded())
