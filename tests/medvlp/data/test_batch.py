"""The typed batch: moving it, and padding."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvlp.data.batch import padded, padded_bool
from tests.medvlp.tiny import pretrain_batch


def test_moving_moves_every_tensor_and_keeps_the_rest() -> None:
    batch = pretrain_batch(2)
    moved = batch.to(torch.device("meta"))
    assert type(moved) is type(batch)
    for name, value in vars(batch).items():
        if isinstance(value, torch.Tensor):
            assert getattr(moved, name).device.type == "meta", name
            assert getattr(moved, name).shape == value.shape
        else:
            assert getattr(moved, name) is value
    assert batch.images.device.type == "cpu"
    assert len(moved) == 2


@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=6), min_size=1, max_size=5), width=st.integers(0, 8))
def test_padding_cuts_or_fills(rows: list[list[int]], width: int) -> None:
    table = padded(rows, width, -1)
    assert table.shape == (len(rows), width)
    assert table.dtype == torch.int64
    assert table.tolist() == [(row + [-1] * width)[:width] for row in rows]


@pytest.mark.parametrize("width", [0, 1, 3])
def test_absent_is_false(width: int) -> None:
    assert padded_bool([[True, False], [True]], width).tolist() == [[True, False, False][:width], [True, False, False][:width]]
