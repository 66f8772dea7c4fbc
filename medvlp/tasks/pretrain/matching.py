"""Image-text matching. Shapes: B samples, R encoded images, H width."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.tasks.reduction import weighted_mean


class MatchingHead(nn.Linear):
    """[B, 2H] pooled pair to [B, 2] logits: not matched, matched."""

    def __init__(self, width: int):
        super().__init__(2 * width, 2)


def matching_images(shown_RIH: Tensor, partner_B: Tensor, matched_B: Tensor) -> Tensor:
    """Encodings [B, I, H] for matching: each row's own where ``matched_B``, its partner's elsewhere.

    Args:
        shown_RIH: the B own images, then any others that a partner may be.
        partner_B: int64, the image that is shown to a row that is not matched.
        matched_B: bool.
    """
    return torch.where(matched_B[:, None, None], shown_RIH[: len(partner_B)], shown_RIH[partner_B])


def matching_loss(logits_B2: Tensor, matched_B: Tensor, weight_B: Tensor) -> Tensor:
    """Mean cross-entropy over the samples that count."""
    return weighted_mean(F.cross_entropy(logits_B2.float(), matched_B.long(), reduction="none"), weight_B)
