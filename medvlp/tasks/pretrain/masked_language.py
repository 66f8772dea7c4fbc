"""Masked language modelling. Shapes: B samples, L tokens, M masked slots, H width, V vocabulary."""

from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.data.masking import IGNORED
from medvlp.model.attention import NORM_EPSILON
from medvlp.tasks.reduction import weighted_mean


class MaskedLanguageHead(nn.Module):
    """Linear, GELU, LayerNorm, Linear: token logits, at the masked slots only."""

    def __init__(self, width: int, vocabulary: int):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.output = nn.Linear(width, vocabulary)

    def forward(self, text_BLH: Tensor, positions_BM: Tensor) -> Tensor:
        """Return logits [B, M, V] at ``positions_BM``: a fixed number of slots, so that no shape depends on the data."""
        slots = text_BLH.gather(1, positions_BM[..., None].expand(-1, -1, text_BLH.shape[-1]))
        return self.output(self.norm(F.gelu(self.hidden(slots))))


def masked_language_loss(logits_BMV: Tensor, labels_BM: Tensor, weight_B: Tensor) -> Tensor:
    """Return the mean cross-entropy over the masked tokens, weighted by sample."""
    losses = F.cross_entropy(logits_BMV.float().flatten(0, 1), labels_BM.flatten(), ignore_index=IGNORED, reduction="none")
    return weighted_mean(losses.view_as(labels_BM), (labels_BM != IGNORED) * weight_B[:, None])
