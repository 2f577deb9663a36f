"""xDeepFM: a compressed interaction network beside a linear part and an MLP."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import CompressedInteractionNet, FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .stages import Point, deep_layers


class xDeepFM(CTRModel):
    """xDeepFM adds the logits of a compressed interaction network, of a linear part and of an MLP.

    Paper: xDeepFM: Combining Explicit and Implicit Feature Interactions for Recommender Systems, KDD 2018,
    https://arxiv.org/abs/1803.05170.
    Authors: Jianxun Lian, Xiaohuan Zhou, Fuzheng Zhang, Zhongxia Chen, Xing Xie, Guangzhong Sun.

        y = sigmoid( LR(x) + CIN(E) + MLP([e_1; ...; e_n]) )
        CIN: X^l_h = sum_ij W^l_hij ( X^{l-1}_i * E_j ), its layers summed over k, then one linear map

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: none; the maps of the CIN are linear, which the paper found best.

    Args:
        cin_hidden_units: feature maps of each CIN layer.
        dnn_hidden_units: widths of the MLP's hidden layers; empty for none (the paper's CIN with a linear
            part).
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "xDeepFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        cin_hidden_units: Sequence[int] = (16, 16, 16),
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if not cin_hidden_units:
            raise ValueError("the CIN needs at least one layer, but cin_hidden_units is empty")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=False)
        self.cin = CompressedInteractionNet(feature_map.num_fields, cin_hidden_units, output_dim=1)
        self.dnn = None
        if dnn_hidden_units:
            self.dnn = mlp_block(
                feature_map.sum_emb_out_dim(), dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm
            )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        logit = self.lr_layer(features) + self.cin(embeddings)
        if self.dnn is not None:
            logit = logit + self.dnn(embeddings.flatten(1))
        return {"y_pred": self.output_activation(logit)}

    def stages(self) -> dict[str, Point]:
        """The feature maps X^l of the CIN, (B, H_l, k), then the hidden layers of the MLP."""
        maps = enumerate(self.cin.cin_layer.values(), start=1)
        return {f"cin_{depth}": layer for depth, layer in maps} | (deep_layers(self.dnn) if self.dnn else {})
