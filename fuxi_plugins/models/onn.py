"""ONN: an MLP over embeddings and field-aware products."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs
from .pairs import count_pairs, field_aware_inner_products


class ONN(CTRModel):
    """ONN gives every feature value one embedding for each operation: one by itself, and one for each product.

    Paper: Operation-aware Neural Networks for User Response Prediction, Neural Networks 2020,
    https://arxiv.org/abs/1904.12579.
    Authors: Yi Yang, Baile Xu, Shaofeng Shen, Furao Shen, Jian Zhao.

        y = sigmoid( MLP([v_11; ...; v_nn; <v_ij, v_ji> for all i < j]) ),  v_ij what field i shows to field j

    Data: two or more fields; a sequence must be pooled to one embedding. There are n tables a field.

    Deviations: none. FuxiCTR's setting ``embedding_dropout`` does nothing there and is left out.

    Args:
        embedding_dim: width of one v_ij, small because there are so many.
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "ONN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 2,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        **kwargs: Any,
    ):
        num_fields = feature_map.num_fields
        input_dim = num_fields * embedding_dim + count_pairs(num_fields)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        # The first table of a field holds its v_ii.
        self.embedding_layers = nn.ModuleList(FeatureEmbedding(feature_map, embedding_dim) for _ in range(num_fields))
        self.dnn = mlp_block(input_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = torch.stack([layer(features) for layer in self.embedding_layers], dim=1)  # (B, n, n, k)
        products = field_aware_inner_products(embeddings[:, 1:])  # (B, P)
        logit = self.dnn(torch.cat([embeddings[:, 0].flatten(1), products], dim=1))
        return {"y_pred": self.output_activation(logit)}
