"""NFM: an MLP over the summed products of all pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .needs import Needs
from .pairs import count_pairs, pooled_products


class NFM(CTRModel):
    """NFM feeds the sum of the element-wise products of all pairs to an MLP, beside a linear part.

    Paper: Neural Factorization Machines for Sparse Predictive Analytics, SIGIR 2017,
    https://arxiv.org/abs/1708.05027.
    Authors: Xiangnan He, Tat-Seng Chua.

        y = sigmoid( sum_i w_i x_i + MLP( sum_{i<j} v_i * v_j ) )

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the summed products go to the MLP without the paper's dropout and BatchNorm.
    FuxiCTR's setting ``embedding_dropout`` does nothing there and is left out.

    Args:
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "NFM",
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
        count_pairs(feature_map.num_fields)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=False)
        self.dnn = mlp_block(embedding_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        pooled = pooled_products(self.embedding_layer(features))  # (B, k)
        logit = self.lr_layer(features) + self.dnn(pooled)
        return {"y_pred": self.output_activation(logit)}
