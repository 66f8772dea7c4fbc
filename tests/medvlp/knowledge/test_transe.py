"""TransE: what the vectors must show, and that a seed is all that they depend on."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.nn.kge import TransE

from medvlp.errors import KnowledgeError
from medvlp.knowledge.transe import TransEConfig, fit_transe, train_transe

FAST = TransEConfig(width=16, epochs=5)


@torch.no_grad()
def filtered_ranks(model: TransE, triples: Tensor, known: Tensor) -> Tensor:
    """Where the true end of each triple stands among all entities, by score; 1 is first (Bordes et al. 2013, "filtered").

    Args:
        model: what scores.
        triples: int64 [M, 3].
        known: int64 [L, 3]: all true triples; another true answer to the same question does not count as wrong.

    Returns:
        int64 [2 * M]: the ranks of the heads, then of the tails.
    """
    everything = torch.arange(model.num_nodes)
    ranks = []
    for end in (0, 2):
        for triple in triples:
            asked = triple.expand(model.num_nodes, 3).clone()
            asked[:, end] = everything
            scores = model(*asked.unbind(1))
            other = 2 - end
            true = known[(known[:, 1] == triple[1]) & (known[:, other] == triple[other])][:, end]
            score = scores[triple[end]].clone()
            scores[true] = -torch.inf
            ranks.append((scores > score).sum() + 1)
    return torch.stack(ranks)


def star_forest(parents: int = 10, children: int = 9) -> Tensor:
    """Every child is_a its parent: [parents * children, 3]."""
    heads = torch.arange(parents, parents + parents * children)
    return torch.stack([heads, torch.zeros_like(heads), (heads - parents) % parents], dim=1)


def test_true_triples_lie_nearer_than_corrupted_ones() -> None:
    triples = star_forest()
    vectors = normalize(train_transe(triples, 100, 1, TransEConfig(width=64)), p=1.0)
    heads, _, tails = triples.unbind(1)
    relation = (vectors[tails] - vectors[heads]).mean(0)
    distances = (vectors[heads] + relation).unsqueeze(1).sub(vectors[:10]).norm(p=1, dim=-1)
    assert (distances.argmin(1) == tails).float().mean() > 0.9


def test_the_seed_decides_and_the_random_state_stays() -> None:
    triples = star_forest()
    state = torch.get_rng_state()
    first = train_transe(triples, 100, 1, FAST)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    assert torch.equal(first, train_transe(triples, 100, 1, FAST))
    assert not torch.equal(first, train_transe(triples, 100, 1, TransEConfig(width=16, epochs=5, seed=1)))
    assert first.shape == (100, 16)
    assert first.dtype == torch.float32
    assert not first.requires_grad


@pytest.mark.parametrize(
    ("triples", "entities", "message"),
    [
        (torch.empty(0, 3, dtype=torch.int64), 5, "no training data: 5 entities, 0 triples"),
        (torch.empty(0, 3, dtype=torch.int64), 0, "no training data"),
        (torch.tensor([[0, 0, 5]]), 5, "outside 5 entities"),
        (torch.tensor([[0, 1, 1]]), 5, "1 relations"),
        (torch.tensor([[-1, 0, 1]]), 5, "outside"),
        (torch.tensor([[0.0, 0.0, 1.0]]), 5, "int64"),
        (torch.tensor([0, 0, 1]), 5, r"\[M, 3\]"),
    ],
)
def test_graphs_that_cannot_be_trained_on(triples: Tensor, entities: int, message: str) -> None:
    with pytest.raises(KnowledgeError, match=message):
        train_transe(triples, entities, 1, FAST)


def test_other_true_answers_do_not_count_against_one() -> None:
    triples = star_forest(parents=2, children=3)
    model = fit_transe(triples, 8, 1, TransEConfig(width=32, epochs=200, batch_size=4))
    processes = filtered_ranks(model, triples, triples)
    assert processes.shape == (12,)
    assert processes.tolist() == [1] * 12
    # Unfiltered, the three children of a parent stand before one another.
    alone = torch.cat([filtered_ranks(model, triple[None], triple[None]) for triple in triples])
    assert sorted(alone[::2].tolist()) == [1, 1, 2, 2, 3, 3]


@pytest.mark.real_data
@pytest.mark.slow
def test_unseen_triples_of_the_semantic_network(shared_data: Path) -> None:
    rows = {
        name: [line.split("\t") for line in (shared_data / "kg" / "umls_semnet_pykeen" / f"{name}.txt").read_text().splitlines()]
        for name in ("train", "valid", "test")
    }
    everything = [row for part in rows.values() for row in part]
    entities = {name: index for index, name in enumerate(sorted({end for head, _, tail in everything for end in (head, tail)}))}
    relations = {name: index for index, name in enumerate(sorted({relation for _, relation, _ in everything}))}

    def tensor(part: list[list[str]]) -> Tensor:
        return torch.tensor([(entities[head], relations[relation], entities[tail]) for head, relation, tail in part])

    model = fit_transe(tensor(rows["train"]), len(entities), len(relations), TransEConfig())
    processes = filtered_ranks(model, tensor(rows["test"]), tensor(everything))
    assert (processes <= 10).float().mean() >= 0.95
