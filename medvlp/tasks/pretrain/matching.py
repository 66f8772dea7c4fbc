"""Image-text matching. Shapes: B samples, R encoded images, H width."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.tasks.reduction import weighted_mean


class MatchingHead(nn.Linear):
    """Maps the pooled pair [B, 2H] to logits [B, 2]: not matched, matched."""

    def __init__(self, width: int):
        super().__init__(2 * width, 2)


def matching_images(shown_RIH: Tensor, partner_B: Tensor, matched_B: Tensor) -> Tensor:
    """Return encodings [B, I, H] for matching: each row's own where ``matched_B``, its partner's elsewhere.

    Args:
        shown_RIH: the rows' own B images, then further partner images.
        partner_B: int64, the image for a row that is not matched.
        matched_B: bool.
    """
    return torch.where(matched_B[:, None, None], shown_RIH[: len(partner_B)], shown_RIH[partner_B])


def matching_loss(logits_B2: Tensor, matched_B: Tensor, weight_B: Tensor) -> Tensor:
    """Return the mean cross-entropy, weighted by sample."""
    return weighted_mean(F.cross_entropy(logits_B2.float(), matched_B.long(), reduction="none"), weight_B)
