"""Weighted means."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvlp.tasks.reduction import weighted_mean


@given(rows=st.lists(st.tuples(st.floats(-9, 9, width=32), st.booleans()), min_size=1, max_size=8))
def test_it_is_the_mean_of_what_counts(rows: list[tuple[float, bool]]) -> None:
    values, counts = torch.tensor([value for value, _ in rows]), torch.tensor([float(counts) for _, counts in rows])
    counted = [value for value, counts in rows if counts]
    assert weighted_mean(values, counts).item() == pytest.approx(sum(counted) / max(len(counted), 1), abs=1e-5)


def test_weights_broadcast() -> None:
    assert weighted_mean(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), torch.tensor([[1.0], [0.0]])).item() == 2.0


def test_half_precision_is_summed_in_float32() -> None:
    values = torch.full((5000,), 0.1, dtype=torch.bfloat16)
    mean = weighted_mean(values, torch.ones(5000, dtype=torch.bfloat16))
    assert mean.dtype == torch.float32
    assert mean.item() == pytest.approx(values[0].item())
