"""DNN: a plain MLP over field embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .stages import Point, deep_layers


class DNN(CTRModel):
    """DNN is one MLP over the concatenated field embeddings.

    Paper: Deep Neural Networks for YouTube Recommendations, RecSys 2016,
    https://doi.org/10.1145/2959100.2959190.
    Authors: Paul Covington, Jay Adams, Emre Sargin.

        y = sigmoid( MLP([e_1; ...; e_n]) )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the paper's ranking model, without its weighting of watch time.

    Args:
        hidden_units: widths of the hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DNN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.mlp = mlp_block(
            feature_map.sum_emb_out_dim(), hidden_units, 1, hidden_activations, net_dropout, batch_norm
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        return {"y_pred": self.output_activation(self.mlp(embeddings))}

    def stages(self) -> dict[str, Point]:
        """The hidden layers, (B, width)."""
        return deep_layers(self.mlp)
