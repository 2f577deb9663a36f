"""FiBiNET: bilinear products of all pairs of fields, of the embeddings and of the same reweighted."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import BilinearInteractionV2, FeatureEmbedding, SqueezeExcitation
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .needs import Needs


class FiBiNET(CTRModel):
    """FiBiNET weighs the fields by squeeze and excitation, and takes bilinear products of all pairs before and after.

    Paper: FiBiNET: Combining Feature Importance and Bilinear feature Interaction for Click-Through Rate
    Prediction, RecSys 2019, https://arxiv.org/abs/1905.09433.
    Authors: Tongwen Huang, Zhiqi Zhang, Junlin Zhang.

        v_i = a_i e_i,  a = ReLU( W2 ReLU( W1 [mean(e_1); ...; mean(e_n)] ) )
        y = sigmoid( LR(x) + MLP([(e_i W) * e_j; ...; (v_i W') * v_j; ...]) ),  all i < j

    Data: any features, all of ``embedding_dim``, at least two; a sequence must be pooled to one embedding.

    Deviations: FuxiCTR's MLP has no hidden layers unless asked for, here it has by default. Its indices of the
    pairs are a parameter, here a buffer of the same name. It starts the first-order weights of a shared sequence
    at random; see ``LinearPart``.

    Args:
        hidden_units: widths of the MLP's hidden layers; empty for one linear map.
        hidden_activations: one name for all hidden layers, or one for each.
        excitation_activation: the outer activation of a.
        reduction_ratio: W1 maps n means to n / reduction_ratio values, at least one; below 1 they become more.
        bilinear_type: W is the same for all fields, each field's own as the left one, or each pair's own.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FiBiNET",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        excitation_activation: Literal["ReLU", "Sigmoid"] = "ReLU",
        reduction_ratio: int | float = 3,
        bilinear_type: Literal["field_all", "field_each", "field_interaction"] = "field_interaction",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if reduction_ratio <= 0:
            raise ValueError(f"reduction_ratio must be above 0, but reduction_ratio={reduction_ratio}")
        num_fields = feature_map.num_fields
        if num_fields < 2:
            raise ValueError(f"pairs of fields need at least two, but the dataset has {num_fields}")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=False)
        self.senet_layer = SqueezeExcitation(num_fields, reduction_ratio, excitation_activation)
        self.bilinear_interaction1 = BilinearPairs(num_fields, embedding_dim, bilinear_type)
        self.bilinear_interaction2 = BilinearPairs(num_fields, embedding_dim, bilinear_type)
        input_dim = num_fields * (num_fields - 1) * embedding_dim  # twice n (n - 1) / 2 pairs
        self.dnn = mlp_block(input_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        reweighted = self.senet_layer(embeddings)  # (B, n, k)
        pairs = torch.cat([self.bilinear_interaction1(embeddings), self.bilinear_interaction2(reweighted)], dim=1)
        logit = self.lr_layer(features) + self.dnn(pairs.flatten(1))
        return {"y_pred": self.output_activation(logit)}


class BilinearPairs(BilinearInteractionV2):
    """FuxiCTR's bilinear products of all pairs, with their indices a buffer: integers are nothing to learn."""

    def __init__(self, num_fields: int, embedding_dim: int, bilinear_type: str):
        super().__init__(num_fields, embedding_dim, bilinear_type)
        del self.triu_index
        self.register_buffer("triu_index", torch.triu_indices(num_fields, num_fields, offset=1))
