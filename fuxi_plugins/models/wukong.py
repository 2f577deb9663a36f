"""Wukong: layers of factorization machines over field embeddings, stacked like those of a transformer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class Wukong(CTRModel):
    """Wukong stacks layers that join an MLP of all inner products with a linear recombination of the vectors.

    Paper: Wukong: Towards a Scaling Law for Large-Scale Recommendation, ICML 2024,
    https://arxiv.org/abs/2403.02545.
    Authors: Buyun Zhang, Liang Luo, Yuxin Chen, Jade Nie, Xi Liu, Shen Li, Yanli Zhao, Yuchen Hao, Yantao Yao, Ellie
    Dingqiao Wen, Jongsoo Park, Maxim Naumov, Wenlin Chen.

        X' = LayerNorm( [FMB(X); LCB(X)] + X ),  LCB(X) = W X
        FMB(X) = ReLU( MLP( LayerNorm( vec(X (X^T Y)) ) ) ),  y = sigmoid( MLP(vec(X^L)) )

    X holds a vector in each row, W recombines the rows, Y (rows, r) compresses them to rank r.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, Y is learned and the same for all rows of data (the paper also has one made from
    X), a ReLU ends the MLP of FMB, and the residual of a layer that changes the number of vectors is a linear
    map with bias. The name is the paper's, FuxiCTR writes WuKong.

    Args:
        num_wukong_layers: layers.
        fmb_features, lcb_features: vectors that FMB and LCB make.
        fmp_rank_k: r; None for all inner products, X X^T.
        fmb_mlp_units, fmb_mlp_activations: of the MLP in FMB.
        layer_norm: the outer LayerNorm of a layer.
        mlp_hidden_units, mlp_hidden_activations, mlp_batch_norm: of the last MLP.
        net_dropout: dropout after each activation of the MLP in FMB.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "Wukong",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_wukong_layers: int = 3,
        lcb_features: int = 40,
        fmb_features: int = 40,
        fmb_mlp_units: Sequence[int] = (32, 32),
        fmb_mlp_activations: str | Sequence[str] = "ReLU",
        fmp_rank_k: int | None = 8,
        mlp_hidden_units: Sequence[int] = (32, 32),
        mlp_hidden_activations: str | Sequence[str] = "ReLU",
        mlp_batch_norm: bool = True,
        layer_norm: bool = True,
        net_dropout: float = 0.0,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_wukong_layers=num_wukong_layers, lcb_features=lcb_features, fmb_features=fmb_features)
        if fmp_rank_k is not None:
            require_positive(fmp_rank_k=fmp_rank_k)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        vectors = fmb_features + lcb_features
        inputs = [feature_map.num_fields] + [vectors] * (num_wukong_layers - 1)
        self.wukong_stack = nn.Sequential(
            *(
                WukongLayer(
                    num_inputs,
                    fmb_features,
                    lcb_features,
                    embedding_dim,
                    fmp_rank_k,
                    fmb_mlp_units,
                    fmb_mlp_activations,
                    net_dropout,
                    layer_norm,
                )
                for num_inputs in inputs
            )
        )
        self.fc = mlp_block(
            vectors * embedding_dim, mlp_hidden_units, 1, mlp_hidden_activations, dropout=0.0, batch_norm=mlp_batch_norm
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        logit = self.fc(self.wukong_stack(embeddings).flatten(1))
        return {"y_pred": self.output_activation(logit)}


class WukongLayer(nn.Module):
    """[LayerNorm]( [FMB(X); LCB(X)] + X ), (B, inputs, k) -> (B, fmb_features + lcb_features, k)."""

    def __init__(
        self,
        num_inputs: int,
        fmb_features: int,
        lcb_features: int,
        embedding_dim: int,
        rank: int | None,
        hidden_units: Sequence[int],
        activations: str | Sequence[str],
        dropout: float,
        layer_norm: bool,
    ):
        super().__init__()
        # The names are FuxiCTR's, so that checkpoints of its WuKong load.
        self.fmb = FactorizationMachineBlock(
            num_inputs, fmb_features, embedding_dim, rank, hidden_units, activations, dropout
        )
        self.lcb = LinearCompressionBlock(num_inputs, lcb_features)
        self.layer_norm = nn.LayerNorm(embedding_dim) if layer_norm else nn.Identity()
        num_outputs = fmb_features + lcb_features
        self.residual_proj = nn.Linear(num_inputs, num_outputs) if num_inputs != num_outputs else None

    def forward(self, x: Tensor) -> Tensor:
        residual = x if self.residual_proj is None else self.residual_proj(x.transpose(1, 2)).transpose(1, 2)
        return self.layer_norm(torch.cat([self.fmb(x), self.lcb(x)], dim=1) + residual)


class FactorizationMachineBlock(nn.Module):
    """ReLU( MLP( LayerNorm( vec(X (X^T Y)) ) ) ), (B, inputs, k) -> (B, outputs, k); without a rank vec(X X^T)."""

    def __init__(
        self,
        num_inputs: int,
        num_outputs: int,
        embedding_dim: int,
        rank: int | None,
        hidden_units: Sequence[int],
        activations: str | Sequence[str],
        dropout: float,
    ):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.proj_Y = None if rank is None else nn.Parameter(torch.randn(num_inputs, rank))
        products = num_inputs * (num_inputs if rank is None else rank)
        self.layer_norm = nn.LayerNorm(products)
        self.mlp = mlp_block(
            products, hidden_units, num_outputs * embedding_dim, activations, dropout, batch_norm=False
        )

    def forward(self, x: Tensor) -> Tensor:
        compressed = x.transpose(1, 2)  # (B, k, inputs)
        if self.proj_Y is not None:
            compressed = compressed @ self.proj_Y  # (B, k, rank)
        products = (x @ compressed).flatten(1)  # (B, inputs * rank)
        return self.mlp(self.layer_norm(products)).relu().unflatten(1, (-1, self.embedding_dim))


class LinearCompressionBlock(nn.Module):
    """W X, (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, num_inputs: int, num_outputs: int):
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear.weight @ x
