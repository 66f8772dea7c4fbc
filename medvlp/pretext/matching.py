"""Image-text matching. Shapes: B samples, H width."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.pretext.reduction import weighted_mean


class MatchingHead(nn.Linear):
    """[B, 2H] pooled pair to [B, 2] logits: not matched, matched."""

    def __init__(self, width: int):
        super().__init__(2 * width, 2)


def matching_images(image_BIH: Tensor, partner_B: Tensor, matched_B: Tensor) -> Tensor:
    """Each row's own image encoding where ``matched_B``, its partner's elsewhere: negatives cost no encoding of their own."""
    return torch.where(matched_B[:, None, None], image_BIH, image_BIH[partner_B])


def matching_loss(logits_B2: Tensor, matched_B: Tensor, weight_B: Tensor) -> Tensor:
    """Mean cross-entropy over the samples that count."""
    return weighted_mean(F.cross_entropy(logits_B2.float(), matched_B.long(), reduction="none"), weight_B)
