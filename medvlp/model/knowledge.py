"""The knowledge encoder: graph attention over the entities (ARL §3.2). Shapes: N entities, K width, M edges, A heads, C width of a head."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch_geometric.nn import GATConv
from torch_geometric.utils import add_self_loops, remove_self_loops

from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.model.config import KnowledgeConfig


class BaggedGATConv(GATConv):
    """``GATConv`` that sums the neighbours of an entity head by head as an embedding bag.

    The same sums as its parent's, which writes a vector of A * C numbers for every edge and reads it again: six times as slow.
    """

    def propagate(self, edge_index: Tensor, size: tuple[int, int] | None = None, *, x: tuple[Tensor, Tensor], alpha: Tensor) -> Tensor:
        """[N, A, C]: sums of the sources' vectors, [N, A, C], weighted by attention, [M, A]."""
        vectors_NAC, _ = x
        targets, order = edge_index[1].sort(stable=True)
        sources, alpha = edge_index[0, order], alpha[order]
        starts = torch.searchsorted(targets, torch.arange(len(vectors_NAC) + 1, device=targets.device))
        dtype = torch.promote_types(vectors_NAC.dtype, alpha.dtype)  # autocast computes the two in different ones
        heads = zip(vectors_NAC.to(dtype).unbind(1), alpha.to(dtype).unbind(1), strict=True)
        return torch.stack([self._sum(sources, starts, vectors, weights) for vectors, weights in heads], dim=1)

    @staticmethod
    def _sum(sources: Tensor, starts: Tensor, vectors_NC: Tensor, weights_M: Tensor) -> Tensor:
        return F.embedding_bag(
            sources, vectors_NC.contiguous(), starts, mode="sum", per_sample_weights=weights_M.contiguous(), include_last_offset=True
        )


class KnowledgeEncoder(nn.Module):
    """Two graph attention layers over TransE vectors; one pass gives every entity its representation."""

    edges_2M: Tensor
    entity_ids_N: Tensor

    def __init__(self, config: KnowledgeConfig, bundle: KnowledgeBundle):
        super().__init__()
        width = bundle.vectors.shape[1]
        hidden = config.hidden_heads * config.hidden_width
        self.embedding = nn.Embedding.from_pretrained(bundle.vectors.clone(), freeze=False)
        self.norm = nn.LayerNorm(width)
        # The graph below contains the self loops already, so they are not added in every pass.
        self.hidden = BaggedGATConv(width, config.hidden_width, config.hidden_heads, dropout=config.dropout, add_self_loops=False)
        self.output = BaggedGATConv(hidden, width, 1, concat=False, dropout=config.dropout, add_self_loops=False)
        self.dropout = nn.Dropout(config.dropout)
        edges, _ = remove_self_loops(bundle.edge_index)
        edges, _ = add_self_loops(edges, num_nodes=len(bundle.entities))
        self.register_buffer("edges_2M", edges, persistent=False)
        self.register_buffer("entity_ids_N", torch.arange(len(bundle.entities)), persistent=False)

    @property
    def width(self) -> int:
        """K."""
        return self.embedding.embedding_dim

    def forward(self) -> Tensor:
        """[N, K]: all entities."""
        vectors = self.dropout(self.norm(self.embedding(self.entity_ids_N)))
        hidden = self.dropout(F.elu(self.hidden(vectors, self.edges_2M)))
        return self.output(hidden, self.edges_2M)
