"""FFM: a factorization machine whose features show each field an embedding of its own."""

from collections.abc import Mapping
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs
from .pairs import count_pairs, field_aware_inner_products


class FFM(CTRModel):
    """FFM gives every feature value one embedding for each other field, and multiplies those meant for each other.

    Paper: Field-aware Factorization Machines for CTR Prediction, RecSys 2016,
    https://doi.org/10.1145/2959100.2959134.
    Authors: Yuchin Juan, Yong Zhuang, Wei-Sheng Chin, Chih-Jen Lin.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{i<j} <v_ij, v_ji> ),  v_ij what field i shows to field j

    Data: two or more fields; a sequence must be pooled to one embedding. There are n - 1 tables a field.

    Deviations: the paper's model has no first-order part; FuxiCTR adds it, as here.

    Args:
        embedding_dim: width of one v_ij, small because there are so many.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 2,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        count_pairs(feature_map.num_fields)
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.embedding_layers = nn.ModuleList(
            FeatureEmbedding(feature_map, embedding_dim) for _ in range(feature_map.num_fields - 1)
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = torch.stack([layer(features) for layer in self.embedding_layers], dim=1)  # (B, n - 1, n, k)
        products = field_aware_inner_products(embeddings)  # (B, P)
        logit = self.lr_layer(features) + products.sum(dim=1, keepdim=True)
        return {"y_pred": self.output_activation(logit)}
