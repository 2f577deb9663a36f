"""SAM: self-attention without softmax, weighing products or maps of pairs of fields."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel

InteractionType = Literal["SAM2A", "SAM2E", "SAM3A", "SAM3E"]
Aggregation = Literal["concat", "weighted_pooling", "mean_pooling", "sum_pooling"]


class SAM(CTRModel):
    """SAM weighs a learned vector, or the product, of each pair of fields by their inner product.

    Paper: Looking at CTR Prediction Again: Is Attention All You Need?, SIGIR 2021,
    https://arxiv.org/abs/2105.05563.

        SAM2A: s_ij = <e_i, e_j> w_ij          SAM2E: s_ij = <e_i, e_j> (e_i * e_j)
        SAM3A: e_i <- sum_j <e_i, K e_j> w_ij + Q e_i
        SAM3E: e_i <- sum_j <e_i, K e_j> (e_i * e_j) + Q e_i
        y = sigmoid( w aggregate(s or e) + b )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Departures: SAM3A with its residual is the default. FuxiCTR's is SAM2E, a polynomial of degree four, which
    hardly moves from FuxiCTR's initial embeddings of 1e-4.

    Args:
        interaction_type: which of the four.
        aggregation: of the vectors of all fields; ``weighted_pooling`` is a sum with a learned weight each.
            SAM2A and SAM2E, whose vectors are those of all pairs, have ``concat`` only.
        num_interaction_layers, use_residual: layers of SAM3, and their term Q e_i; no effect in SAM2, which has
            one layer.
        net_dropout: dropout after each layer.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "SAM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        interaction_type: InteractionType = "SAM3A",
        aggregation: Aggregation = "concat",
        num_interaction_layers: int = 3,
        use_residual: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        net_dropout: float = 0.0,
        **kwargs: Any,
    ):
        require_positive(num_interaction_layers=num_interaction_layers)
        of_pairs = interaction_type in ("SAM2A", "SAM2E")
        if of_pairs and aggregation != "concat":
            raise ValueError(f"{interaction_type} needs aggregation='concat', but aggregation={aggregation!r}")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.block = SAMBlock(
            interaction_type, aggregation, num_interaction_layers, num_fields, embedding_dim, use_residual, net_dropout
        )
        vectors = 1
        if aggregation == "concat":
            vectors = num_fields**2 if of_pairs else num_fields
        self.fc = nn.Linear(vectors * embedding_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        return {"y_pred": self.output_activation(self.fc(self.block(embeddings)))}


class SAMBlock(nn.Module):
    """The layers and the aggregation, (B, n, k) -> (B, vectors * k)."""

    def __init__(
        self,
        interaction_type: InteractionType,
        aggregation: Aggregation,
        num_layers: int,
        num_fields: int,
        embedding_dim: int,
        use_residual: bool,
        dropout: float,
    ):
        super().__init__()
        self.aggregation = aggregation
        self.weight = nn.Parameter(torch.ones(num_fields, 1)) if aggregation == "weighted_pooling" else None
        weighted = interaction_type in ("SAM2A", "SAM3A")
        if interaction_type in ("SAM2A", "SAM2E"):
            self.layers = nn.ModuleList([SAM2(num_fields, embedding_dim, weighted)])
        else:
            self.layers = nn.ModuleList(
                SAM3(num_fields, embedding_dim, weighted, use_residual) for _ in range(num_layers)
            )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = self.dropout(layer(x))
        if self.aggregation == "concat":
            return x.flatten(1)
        if self.weight is not None:
            return (x * self.weight).sum(dim=1)
        return x.mean(dim=1) if self.aggregation == "mean_pooling" else x.sum(dim=1)


class SAM2(nn.Module):
    """<e_i, e_j> w_ij where weighted, else <e_i, e_j> (e_i * e_j), of all pairs; (B, n, k) -> (B, n, n, k)."""

    def __init__(self, num_fields: int, embedding_dim: int, weighted: bool):
        super().__init__()
        self.W = nn.Parameter(torch.ones(num_fields, num_fields, embedding_dim)) if weighted else None

    def forward(self, x: Tensor) -> Tensor:
        scores = x @ x.transpose(1, 2)  # (B, n, n)
        values = x.unsqueeze(2) * x.unsqueeze(1) if self.W is None else self.W
        return scores.unsqueeze(-1) * values


class SAM3(nn.Module):
    """sum_j <e_i, K e_j> v_ij [+ Q e_i], v_ij = w_ij where weighted, else e_i * e_j; (B, n, k) -> (B, n, k)."""

    def __init__(self, num_fields: int, embedding_dim: int, weighted: bool, use_residual: bool):
        super().__init__()
        self.W = nn.Parameter(torch.ones(num_fields, num_fields, embedding_dim)) if weighted else None
        self.K = nn.Linear(embedding_dim, embedding_dim, bias=False)
        self.Q = nn.Linear(embedding_dim, embedding_dim, bias=False) if use_residual else None

    def forward(self, x: Tensor) -> Tensor:
        scores = x @ self.K(x).transpose(1, 2)  # (B, n, n)
        # Without W, e_i is the same in all terms of the sum.
        out = x * (scores @ x) if self.W is None else torch.einsum("bij,ijk->bik", scores, self.W)
        return out if self.Q is None else out + self.Q(x)
