"""DeepFM: a factorization machine and an MLP over the same embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fm import FactorizationMachine
from .fuxictr_layers import mlp_block


class DeepFM(CTRModel):
    """DeepFM adds the logits of a factorization machine and of an MLP over the same field embeddings.

    Paper: DeepFM: A Factorization-Machine based Neural Network for CTR Prediction, IJCAI 2017,
    https://arxiv.org/abs/1703.04247.
    Authors: Huifeng Guo, Ruiming Tang, Yunming Ye, Zhenguo Li, Xiuqiang He.

        y = sigmoid( FM(x) + MLP([e_1; ...; e_n]) ),  FM(x) = w_0 + sum_i w_i x_i + sum_{i<j} <e_i, e_j>

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: none. FuxiCTR itself starts the first-order weights of a shared sequence at random; see ``LinearPart``.

    Args:
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation.
        net_dropout: dropout after each activation.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DeepFM",
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
        self.fm = FactorizationMachine(feature_map)
        self.mlp = mlp_block(
            feature_map.sum_emb_out_dim(), hidden_units, 1, hidden_activations, net_dropout, batch_norm
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        logit = self.fm(features, embeddings) + self.mlp(embeddings.flatten(1))
        return {"y_pred": self.output_activation(logit)}
