"""Masked image modelling: which patches are dropped, and the loss over them."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from medvlp.errors import ConfigurationError
from medvlp.tasks.pretrain.config import MaskedImageConfig
from medvlp.tasks.pretrain.masked_image import MaskedImageHead, masked_image_loss, normalised_patches, patch_order


@given(patches=st.integers(1, 40), share=st.floats(0, 0.99), seed=st.integers(0, 9))
def test_patches_are_kept_and_restored(patches: int, share: float, seed: int) -> None:
    noise = torch.rand(3, patches, generator=torch.Generator().manual_seed(seed))
    kept, restore = patch_order(noise, share)
    assert kept.shape == (3, int(patches * (1 - share)))
    for row in range(3):
        assert sorted(restore[row].tolist()) == list(range(patches))
        # Those with the smallest numbers are kept, and restore leads to them.
        assert set(noise[row].argsort()[: kept.shape[1]].tolist()) == set(kept[row].tolist())
        assert [restore[row, patch].item() for patch in kept[row].tolist()] == list(range(kept.shape[1]))


def test_the_paper_keeps_a_quarter() -> None:
    assert patch_order(torch.rand(1, 324), 0.75)[0].shape == (1, 81)


def test_the_loss_is_the_error_of_dropped_patches_normalised_each() -> None:
    torch.manual_seed(0)
    predicted, patches = torch.randn(2, 4, 6), torch.randn(2, 4, 6) * 3 + 1
    _, restore = patch_order(torch.rand(2, 4), 0.5)
    total, count = 0.0, 0
    for patch in range(4):
        if restore[0, patch] >= 2:
            values = patches[0, patch].tolist()
            mean = sum(values) / 6
            deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / 5 + 1e-6)
            guesses = predicted[0, patch].tolist()
            total += sum((guess - (value - mean) / deviation) ** 2 for guess, value in zip(guesses, values, strict=True)) / 6
            count += 1
    loss = masked_image_loss(predicted, patches, restore, kept=2, weight_B=torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(total / count, rel=1e-5)


def test_a_patch_of_one_colour_is_finite() -> None:
    assert normalised_patches(torch.full((1, 1, 12), 7.0)).abs().max() == 0


def test_the_decoder_puts_every_patch_back_in_its_place() -> None:
    torch.manual_seed(0)
    head = MaskedImageHead(MaskedImageConfig(width=8, layers=0, heads=2), width=16, patches=9, patch_values=12).eval()
    image = torch.randn(2, 1 + 4, 16)
    kept, restore = patch_order(torch.rand(2, 9), 0.5)
    predicted = head(image, restore)
    # Without layers a patch's prediction is a function of its own token and place.
    for row in range(2):
        for patch in range(9):
            place = (kept[row] == patch).nonzero()
            token = head.input(image[row, 1 + place.item()]) if len(place) else head.mask_token.weight[0]
            torch.testing.assert_close(predicted[row, patch], head.output(head.norm(token + head.positions[1 + patch])))


def test_positions_are_sines_and_cosines_of_column_and_row() -> None:
    positions = MaskedImageHead(MaskedImageConfig(width=8, layers=0, heads=2), 16, patches=9, patch_values=12).positions
    assert positions.shape == (10, 8)
    assert not positions[0].any()
    row, column = 2, 1
    expected = [f(value * scale) for value in (column, row) for f in (math.sin, math.cos) for scale in (1.0, 0.01)]
    torch.testing.assert_close(positions[1 + 3 * row + column], torch.tensor(expected))


@pytest.mark.parametrize("settings", [{"width": 30, "heads": 4}, {"width": 6, "heads": 2}])
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigurationError, match=r"pretext\.masked_image"):
        MaskedImageConfig(**settings)
