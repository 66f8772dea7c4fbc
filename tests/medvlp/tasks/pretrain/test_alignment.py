"""Alignment of both encoders with the graph."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvlp.tasks.pretrain.alignment import AlignmentHead, alignment_loss, multi_hot


def test_logits_are_inner_products_with_the_class_token() -> None:
    torch.manual_seed(0)
    head, stream, graph = AlignmentHead(8, 5), torch.randn(2, 3, 8), torch.randn(7, 5)
    projected = (head.output((head.hidden(stream[:, 0])).clamp(min=0))).clamp(min=0)
    expected = torch.stack([torch.stack([projected[row].dot(graph[entity]) for entity in range(7)]) for row in range(2)])
    torch.testing.assert_close(head(stream, graph), expected)


@given(rows=st.lists(st.lists(st.integers(0, 5), max_size=4), min_size=1, max_size=4))
def test_labels_name_the_entities_that_are_there(rows: list[list[int]]) -> None:
    entities = torch.tensor([row + [-1] * (4 - len(row)) for row in rows])
    labels = multi_hot(entities, entities >= 0, 6)
    assert labels.tolist() == [[float(entity in row) for entity in range(6)] for row in rows]


def test_an_absent_slot_names_nothing_whatever_its_id() -> None:
    assert multi_hot(torch.tensor([[3, 0]]), torch.tensor([[True, False]]), 4).tolist() == [[0, 0, 0, 1]]


def test_the_loss_is_the_mean_over_counted_rows_and_all_entities() -> None:
    torch.manual_seed(0)
    logits, labels = torch.randn(2, 3), torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    total = 0.0
    for logit, label in zip(logits[1].tolist(), labels[1].tolist(), strict=True):
        chance = 1 / (1 + math.exp(-logit))
        total -= math.log(chance if label else 1 - chance)
    assert alignment_loss(logits, labels, torch.tensor([0.0, 1.0])).item() == pytest.approx(total / 3, rel=1e-5)
