"""Masked language modelling: logits at the slots, loss over them."""

import torch
from torch.nn import functional as F

from medvlp.data.masking import IGNORED
from medvlp.tasks.pretrain.masked_language import MaskedLanguageHead, masked_language_loss


def test_logits_are_those_of_the_masked_positions() -> None:
    torch.manual_seed(0)
    head, text = MaskedLanguageHead(8, 11), torch.randn(2, 5, 8)
    positions = torch.tensor([[4, 1, 0], [2, 2, 3]])
    everywhere = head.output(F.layer_norm(F.gelu(head.hidden(text)), (8,), eps=1e-12))
    logits = head(text, positions)
    for row in range(2):
        torch.testing.assert_close(logits[row], everywhere[row, positions[row]])


def test_the_loss_is_the_mean_over_masked_tokens_of_counted_rows() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 11)
    labels = torch.tensor([[3, 0, IGNORED, IGNORED], [1, 2, 3, 4], [10, IGNORED, IGNORED, IGNORED]])
    probabilities = logits.double().softmax(-1)
    surprise = -(probabilities[0, 0, 3].log() + probabilities[0, 1, 0].log() + probabilities[2, 0, 10].log())
    loss = masked_language_loss(logits, labels, torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(loss.double(), surprise / 3)


def test_nothing_masked_is_a_loss_of_zero() -> None:
    logits = torch.randn(2, 3, 5, requires_grad=True)
    loss = masked_language_loss(logits, torch.full((2, 3), IGNORED), torch.ones(2))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()
