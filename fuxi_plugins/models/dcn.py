"""DCN: a cross network with vector weights, with an MLP beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import CrossNet, FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class DCN(CTRModel):
    """DCN crosses the flat embeddings with themselves, one vector of weights a layer, with an MLP beside it.

    Paper: Deep & Cross Network for Ad Click Predictions, ADKDD 2017, https://arxiv.org/abs/1708.05123.
    Authors: Ruoxi Wang, Bin Fu, Gang Fu, Mingliang Wang.

        x_0 = [e_1; ...; e_n],  x_{l+1} = x_0 (x_l^T w_l) + b_l + x_l,  y = sigmoid( w [cross; mlp] + b )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, numeric features have embeddings like all others.

    Args:
        num_cross_layers: layers of the cross network.
        dnn_hidden_units: widths of the MLP's hidden layers; empty for the cross network alone.
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DCN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        num_cross_layers: int = 3,
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_cross_layers=num_cross_layers)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        input_dim = feature_map.sum_emb_out_dim()
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.crossnet = CrossNet(input_dim, num_cross_layers)
        self.dnn = None
        final_dim = input_dim
        if dnn_hidden_units:
            self.dnn = mlp_block(input_dim, dnn_hidden_units, None, dnn_activations, net_dropout, batch_norm)
            final_dim += dnn_hidden_units[-1]
        self.fc = nn.Linear(final_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x_0 = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        out = self.crossnet(x_0)  # (B, nk)
        if self.dnn is not None:
            out = torch.cat([out, self.dnn(x_0)], dim=-1)
        return {"y_pred": self.output_activation(self.fc(out))}
