"""Image-text matching."""

import torch

from medvlp.tasks.pretrain.matching import MatchingHead, matching_images, matching_loss


def test_a_row_sees_its_own_image_or_its_partners() -> None:
    image = torch.arange(3.0)[:, None, None].expand(3, 2, 4)
    seen = matching_images(image, torch.tensor([2, 0, 1]), torch.tensor([True, False, False]))
    assert seen[:, 0, 0].tolist() == [0, 0, 1]


def test_the_loss_is_the_mean_surprise_of_counted_rows() -> None:
    torch.manual_seed(0)
    logits, matched = torch.randn(3, 2), torch.tensor([True, False, True])
    surprise = -logits.double().log_softmax(-1)[torch.arange(3), matched.long()]
    torch.testing.assert_close(matching_loss(logits, matched, torch.tensor([1.0, 1.0, 0.0])).double(), surprise[:2].mean())


def test_the_head_reads_both_poolers() -> None:
    assert MatchingHead(8)(torch.randn(3, 16)).shape == (3, 2)
