"""Attention blocks against the formula, written out."""

import torch
from torch.nn import functional as F

from medvlp.model.attention import AttentionBlock, FeedForwardBlock, attention_bias


def written_out(block: AttentionBlock, x: torch.Tensor, context: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One query, one head at a time: the output of the block, and its attention weights."""
    width = x.shape[-1] // block.heads
    outputs, maps = [], torch.zeros(len(x), block.heads, x.shape[1], context.shape[1])
    for row in range(len(x)):
        query, key, value = block.query(x[row]), block.key(context[row]), block.value(context[row])
        parts = []
        for head in range(block.heads):
            part = slice(head * width, (head + 1) * width)
            scores = (query[:, part] @ key[:, part].T / width**0.5).masked_fill(~mask[row], -torch.inf)
            maps[row, head] = scores.softmax(-1)
            parts.append(maps[row, head] @ value[:, part])
        outputs.append(x[row] + block.output(torch.cat(parts, -1)))
    return F.layer_norm(torch.stack(outputs), x.shape[-1:], block.norm.weight, block.norm.bias, 1e-12), maps


def test_cross_attention_is_the_formula() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(8, 2, dropout=0.5, context_width=6).eval()
    x, context = torch.randn(3, 4, 8), torch.randn(3, 5, 6)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False], [True] + [False] * 4])
    bias = attention_bias(mask, x.dtype)
    output, maps = written_out(block, x, context, mask)
    torch.testing.assert_close(block(x, bias, context), output)
    torch.testing.assert_close(block.attention_map(x, bias, context), maps)


def test_without_context_it_attends_to_itself() -> None:
    torch.manual_seed(0)
    block = AttentionBlock(8, 4, dropout=0.0)
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(block(x), written_out(block, x, x, torch.ones(2, 3, dtype=torch.bool))[0])


def test_a_row_with_everything_masked_stays_finite() -> None:
    block = AttentionBlock(8, 2, dropout=0.0)
    assert block(torch.randn(1, 3, 8), attention_bias(torch.zeros(1, 3, dtype=torch.bool), torch.float32)).isfinite().all()


def test_dropout_acts_in_training_only() -> None:
    x = torch.randn(2, 3, 8)
    for block in (AttentionBlock(8, 2, dropout=0.5), FeedForwardBlock(8, 16, dropout=0.5)):
        assert not torch.equal(block(x), block(x))
        block.eval()
        assert torch.equal(block(x), block(x))


def test_feed_forward_is_the_formula() -> None:
    block = FeedForwardBlock(8, 16, dropout=0.0)
    x = torch.randn(2, 3, 8)
    expected = F.layer_norm(x + block.output(F.gelu(block.hidden(x))), (8,), eps=1e-12)
    torch.testing.assert_close(block(x), expected)
