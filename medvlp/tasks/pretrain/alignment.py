"""Alignment of both encoders with the knowledge graph (ARL §3.2). Shapes: B samples, N entities, H width, K knowledge width."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from medvlp.tasks.reduction import weighted_mean


class AlignmentHead(nn.Module):
    """Scores every entity of the graph against one encoder's class token."""

    def __init__(self, width: int, knowledge_width: int):
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.output = nn.Linear(width, knowledge_width)

    def forward(self, stream_BLH: Tensor, graph_NK: Tensor) -> Tensor:
        """Return logits [B, N]: inner products, without bias or temperature."""
        return F.relu(self.output(F.relu(self.hidden(stream_BLH[:, 0])))) @ graph_NK.T


def multi_hot(entities_BF: Tensor, present_BF: Tensor, count: int) -> Tensor:
    """float32 [B, N]: 1 for every entity id in ``entities_BF`` where ``present_BF``."""
    # An extra column receives the absent entities and is cut off.
    index = torch.where(present_BF, entities_BF, count)
    labels = torch.zeros(len(entities_BF), count + 1, device=entities_BF.device)
    return labels.scatter_(1, index, 1.0)[:, :count]


def alignment_loss(logits_BN: Tensor, labels_BN: Tensor, weight_B: Tensor) -> Tensor:
    """Return the binary cross-entropy, averaged over entities and weighted by sample."""
    losses = F.binary_cross_entropy_with_logits(logits_BN.float(), labels_BN, reduction="none")
    return weighted_mean(losses, weight_B[:, None])
