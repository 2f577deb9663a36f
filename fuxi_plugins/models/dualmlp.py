"""DualMLP: two MLPs over the same embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import mlp_block


class DualMLP(CTRModel):
    """DualMLP adds the logits of two MLPs over the same field embeddings.

    Paper: FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023,
    https://arxiv.org/abs/2304.00902.
    Authors: Kelong Mao, Jieming Zhu, Liangcai Su, Guohao Cai, Yuru Li, Zhenhua Dong.

        y = sigmoid( MLP_1([e_1; ...; e_n]) + MLP_2([e_1; ...; e_n]) )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: none; it is the paper's baseline, without FinalMLP's feature selection and fusion.

    Args:
        mlp1_hidden_units, mlp2_hidden_units: widths of the hidden layers.
        mlp1_hidden_activations, mlp2_hidden_activations: one name for all hidden layers, or one for each.
        mlp1_batch_norm, mlp2_batch_norm: BatchNorm before each activation.
        mlp1_dropout, mlp2_dropout: dropout after each activation.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DualMLP",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        mlp1_hidden_units: Sequence[int] = (64, 64, 64),
        mlp1_hidden_activations: str | Sequence[str] = "ReLU",
        mlp1_dropout: float = 0.0,
        mlp1_batch_norm: bool = False,
        mlp2_hidden_units: Sequence[int] = (64, 64, 64),
        mlp2_hidden_activations: str | Sequence[str] = "ReLU",
        mlp2_dropout: float = 0.0,
        mlp2_batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        width = feature_map.sum_emb_out_dim()
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.mlp1 = mlp_block(width, mlp1_hidden_units, 1, mlp1_hidden_activations, mlp1_dropout, mlp1_batch_norm)
        self.mlp2 = mlp_block(width, mlp2_hidden_units, 1, mlp2_hidden_activations, mlp2_dropout, mlp2_batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        logit = self.mlp1(embeddings) + self.mlp2(embeddings)
        return {"y_pred": self.output_activation(logit)}
