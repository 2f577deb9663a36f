"""FiGNN: a graph of the fields, its edges weighted by attention, its nodes updated by a GRU."""

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .needs import Needs


class FiGNN(CTRModel):
    """FiGNN passes messages between the fields over a graph whose edges are weighted by attention.

    Paper: Fi-GNN: Modeling Feature Interactions via Graph Neural Networks for CTR Prediction, CIKM 2019,
    https://arxiv.org/abs/1910.05552.
    Authors: Zekun Li, Zeyu Cui, Shu Wu, Xiaoyu Zhang, Liang Wang.

        g_ij = softmax_{j != i}( LeakyReLU( w [e_i; e_j] ) )
        a_i = W_in^i sum_j g_ij W_out^j h_j + b,  h_i <- GRU(a_i, h_i) + e_i, from h_i = e_i
        y = sigmoid( sum_i sigmoid(U vec(H))_i (u h_i) )

    Data: any features, all of ``embedding_dim``, at least two; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the self-attention with which the paper makes the first h from the embeddings is
    not here, and the linear maps of the readout have no bias.

    Args:
        gnn_layers: steps of message passing.
        use_residual: the term ``+ e_i``.
        use_gru: the GRU; without it h_i <- a_i + h_i.
        reuse_graph_layer: one W_in, W_out and b for all steps; else each step has its own.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FiGNN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        gnn_layers: int = 3,
        use_residual: bool = True,
        use_gru: bool = True,
        reuse_graph_layer: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(gnn_layers=gnn_layers)
        num_fields = feature_map.num_fields
        if num_fields < 2:
            raise ValueError(f"a graph of fields needs at least two, but the dataset has {num_fields}")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.fignn = FieldGraph(num_fields, embedding_dim, gnn_layers, reuse_graph_layer, use_gru, use_residual)
        self.fc = AttentionalPrediction(num_fields, embedding_dim)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        logit = self.fc(self.fignn(embeddings))
        return {"y_pred": self.output_activation(logit)}


class FieldGraph(nn.Module):
    """The graph and its steps, (B, n, k) -> (B, n, k)."""

    def __init__(
        self,
        num_fields: int,
        embedding_dim: int,
        num_steps: int,
        reuse_graph_layer: bool,
        use_gru: bool,
        use_residual: bool,
    ):
        super().__init__()
        self.num_steps = num_steps
        self.use_residual = use_residual
        # The names are FuxiCTR's, so that checkpoints of its FiGNN load.
        if reuse_graph_layer:
            self.gnn: GraphLayer | nn.ModuleList = GraphLayer(num_fields, embedding_dim)
        else:
            self.gnn = nn.ModuleList(GraphLayer(num_fields, embedding_dim) for _ in range(num_steps))
        self.gru = nn.GRUCell(embedding_dim, embedding_dim) if use_gru else None
        self.W_attn = nn.Linear(2 * embedding_dim, 1, bias=False)

    def forward(self, embeddings: Tensor) -> Tensor:
        edges = self.edges(embeddings)  # (B, n, n)
        h = embeddings
        steps = [self.gnn] * self.num_steps if isinstance(self.gnn, GraphLayer) else self.gnn
        for step in steps:
            a = step(edges, h)
            h = a + h if self.gru is None else self.gru(a.flatten(0, 1), h.flatten(0, 1)).view_as(h)
            if self.use_residual:
                h = h + embeddings
        return h

    def edges(self, embeddings: Tensor) -> Tensor:
        """g, each row a softmax over the other fields; (B, n, k) -> (B, n, n).

        w [e_i; e_j] is the sum of a term of i and one of j, so that no pair needs to be formed.
        """
        w_from, w_to = self.W_attn.weight.view(2, -1)
        scores = F.leaky_relu((embeddings @ w_from).unsqueeze(2) + (embeddings @ w_to).unsqueeze(1))
        itself = torch.eye(embeddings.shape[1], dtype=torch.bool, device=embeddings.device)
        return scores.masked_fill(itself, float("-inf")).softmax(dim=-1)


class GraphLayer(nn.Module):
    """a_i = W_in^i sum_j g_ij W_out^j h_j + b: edges (B, n, n), h (B, n, k) -> (B, n, k)."""

    def __init__(self, num_fields: int, embedding_dim: int):
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(num_fields, embedding_dim, embedding_dim))
        self.W_out = nn.Parameter(torch.empty(num_fields, embedding_dim, embedding_dim))
        nn.init.xavier_normal_(self.W_in)
        nn.init.xavier_normal_(self.W_out)
        self.bias_p = nn.Parameter(torch.zeros(embedding_dim))

    def forward(self, edges: Tensor, h: Tensor) -> Tensor:
        messages = edges @ torch.einsum("nij,bnj->bni", self.W_out, h)
        return torch.einsum("nij,bnj->bni", self.W_in, messages) + self.bias_p


class AttentionalPrediction(nn.Module):
    """A score of every field, weighted by a gate from all of them; (B, n, k) -> (B, 1)."""

    def __init__(self, num_fields: int, embedding_dim: int):
        super().__init__()
        self.mlp1 = nn.Linear(embedding_dim, 1, bias=False)
        self.mlp2 = nn.Sequential(nn.Linear(num_fields * embedding_dim, num_fields, bias=False), nn.Sigmoid())

    def forward(self, h: Tensor) -> Tensor:
        scores = self.mlp1(h).squeeze(-1)  # (B, n)
        return (self.mlp2(h.flatten(1)) * scores).sum(dim=1, keepdim=True)
