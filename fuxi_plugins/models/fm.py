"""FM: factorization machine."""

from collections.abc import Mapping
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .pairs import pooled_products


class FM(CTRModel):
    """FM adds to logistic regression the inner products of all pairs of field embeddings.

    Paper: Factorization Machines, ICDM 2010, https://doi.org/10.1109/ICDM.2010.127.
    Authors: Steffen Rendle.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: none. FuxiCTR itself starts the first-order weights of a shared sequence at random; see ``LinearPart``.

    Args:
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.fm = FactorizationMachine(feature_map)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        logit = self.fm(features, embeddings)
        return {"y_pred": self.output_activation(logit)}


class FactorizationMachine(nn.Module):
    """w_0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j>, the logit of FM."""

    def __init__(self, feature_map: FeatureMap):
        super().__init__()
        LinearPart(feature_map)  # drawn and dropped: the next one starts with the values that recorded runs had
        self.lr_layer = LinearPart(feature_map, use_bias=True)

    def forward(self, features: Mapping[str, Tensor], embeddings: Tensor) -> Tensor:
        """The features of a row and their embeddings (B, n, k) -> (B, 1)."""
        first_order = self.lr_layer(features)
        second_order = pooled_products(embeddings).sum(dim=1, keepdim=True)
        return first_order + second_order
