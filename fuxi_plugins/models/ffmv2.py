"""FFMv2: FFM in one lookup, with what a field shows each other field side by side in one table."""

from collections.abc import Mapping
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs
from .pairs import count_pairs, field_aware_inner_products


class FFMv2(CTRModel):
    """FFMv2 is FFM with one wide table a field in place of one narrow table for each other field.

    Paper: Field-aware Factorization Machines for CTR Prediction, RecSys 2016,
    https://doi.org/10.1145/2959100.2959134.
    Authors: Yuchin Juan, Yong Zhuang, Wei-Sheng Chin, Chih-Jen Lin.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{i<j} <v_ij, v_ji> ),  [v_i1; ...; v_in] without v_ii in a row of field i

    The function is FFM's, with n tables in place of n (n - 1). What differs is the regulariser of a feature's vectors,
    which an optimizer meets as one row, and the time of a step.

    Data: two or more fields, all of the width that ``embedding_dim`` says; a sequence must be pooled to one embedding.

    Deviations: the paper's model has no first-order part; FuxiCTR adds it, as here.

    Args:
        embedding_dim: width of one v_ij; a row of a table is n - 1 times as wide.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FFMv2",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 2,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        count_pairs(feature_map.num_fields)
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.embedding_dim = embedding_dim
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim * (feature_map.num_fields - 1))
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        shown = self.embedding_layer(features).unflatten(-1, (-1, self.embedding_dim))  # (B, n, n - 1, k)
        products = field_aware_inner_products(shown.transpose(1, 2))  # (B, P)
        logit = self.lr_layer(features) + products.sum(dim=1, keepdim=True)
        return {"y_pred": self.output_activation(logit)}
