"""PNN: an MLP over the embeddings and their products."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs
from .pairs import count_pairs, inner_products


class PNN(CTRModel):
    """PNN feeds an MLP the field embeddings together with their products, inner (IPNN) or outer (OPNN).

    Paper: Product-based Neural Networks for User Response Prediction, ICDM 2016,
    https://arxiv.org/abs/1611.00144.
    Authors: Yanru Qu, Han Cai, Kan Ren, Weinan Zhang, Yong Yu, Ying Wen, Jun Wang.

        y = sigmoid( MLP([e_1; ...; e_n; p]) )
        p = (<e_i, e_j> for all i < j), inner;  p = vec(s s^T) with s = sum_i e_i, outer

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the weights of the inner products are full, the paper's of rank one, and no
    field is multiplied by itself. FuxiCTR has no outer products; they are the paper's, with full weights.

    Args:
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
        product_type: what p is, see above.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "PNN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        product_type: Literal["inner", "outer"] = "inner",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        num_pairs = count_pairs(feature_map.num_fields)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.product_type = product_type
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        products_dim = num_pairs if product_type == "inner" else embedding_dim**2
        input_dim = feature_map.num_fields * embedding_dim + products_dim
        self.dnn = mlp_block(input_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        products = inner_products(embeddings) if self.product_type == "inner" else outer_product(embeddings)
        logit = self.dnn(torch.cat([embeddings.flatten(1), products], dim=1))
        return {"y_pred": self.output_activation(logit)}


def outer_product(embeddings: Tensor) -> Tensor:
    """The outer product of the summed embeddings with themselves, all pairs at once: (B, n, k) -> (B, k^2)."""
    total = embeddings.sum(dim=1)
    return (total.unsqueeze(2) * total.unsqueeze(1)).flatten(1)
