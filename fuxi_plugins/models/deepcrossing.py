"""DeepCrossing: residual units over field embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from fuxictr.pytorch.torch_utils import get_activation
from torch import Tensor, nn

from .base import CTRModel


class DeepCrossing(CTRModel):
    """DeepCrossing sends the concatenated field embeddings through residual units of two layers each.

    Paper: Deep Crossing: Web-Scale Modeling without Manually Crafted Combinatorial Features, KDD 2016,
    https://doi.org/10.1145/2939672.2939704.
    Authors: Ying Shan, T. Ryan Hoens, Jian Jiao, Haijing Wang, Dong Yu, JC Mao.

        x^0 = [e_1; ...; e_n],  x^{l+1} = f( W_1 f(W_0 x^l + b_0) + b_1 + x^l ),  y = sigmoid( w x^L + b )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the paper embeds only large vocabularies, and through a ReLU; BatchNorm and dropout are FuxiCTR's.

    Args:
        residual_blocks: the inner width of each unit.
        hidden_activations: f, one name for all units, or one for each.
        net_dropout: dropout after each unit.
        batch_norm: BatchNorm before the outer f of each unit.
        use_residual: the term x^l.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DeepCrossing",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        residual_blocks: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        use_residual: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if isinstance(hidden_activations, str):
            hidden_activations = [hidden_activations] * len(residual_blocks)
        if len(hidden_activations) != len(residual_blocks):
            raise ValueError(
                f"hidden_activations must be one name, or one for each of the {len(residual_blocks)} residual_blocks, "
                f"but hidden_activations={list(hidden_activations)}"
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        width = feature_map.sum_emb_out_dim()
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.crossing_layer = nn.Sequential(
            *(
                ResidualUnit(width, hidden_dim, activation, net_dropout, use_residual, batch_norm)
                for hidden_dim, activation in zip(residual_blocks, hidden_activations, strict=True)
            ),
            nn.Linear(width, 1),
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        return {"y_pred": self.output_activation(self.crossing_layer(embeddings))}


class ResidualUnit(nn.Module):
    """f( [BatchNorm]( W_1 f(W_0 x + b_0) + b_1 [+ x] ) ), (B, width) -> (B, width)."""

    def __init__(
        self, width: int, hidden_dim: int, activation: str, dropout: float, use_residual: bool, batch_norm: bool
    ):
        super().__init__()
        self.use_residual = use_residual
        self.layer = nn.Sequential(
            nn.Linear(width, hidden_dim), get_activation(activation, hidden_dim), nn.Linear(hidden_dim, width)
        )
        self.batch_norm = nn.BatchNorm1d(width) if batch_norm else nn.Identity()
        self.activation = get_activation(activation, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        out = self.layer(x)
        if self.use_residual:
            out = out + x
        return self.dropout(self.activation(self.batch_norm(out)))
