"""DLRM: one embedding for all numbers, inner products of all pairs, and an MLP over them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from fuxictr.pytorch.torch_utils import get_activation
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs
from .pairs import count_pairs, inner_products


class DLRM(CTRModel):
    """DLRM maps all numbers by one MLP to one embedding, and feeds the inner products of all pairs to another.

    Paper: Deep Learning Recommendation Model for Personalization and Recommendation Systems, arXiv 2019,
    https://arxiv.org/abs/1906.00091.
    Authors: Maxim Naumov, Dheevatsa Mudigere, Hao-Jun Michael Shi, Jianyu Huang, Narayanan Sundaraman, Jongsoo Park,
    Xiaodong Wang, Udit Gupta, Carole-Jean Wu, Alisson G. Azzolini, Dmytro Dzhulgakov, Andrey Mallevich, Ilia
    Cherniavskii, Yinghai Lu, Raghuraman Krishnamoorthi, Ansha Yu, Volodymyr Kondratenko, Stephanie Pereira, Xianjie
    Chen, Wenlin Chen, Vijay Rao, Bill Jia, Liang Xiong, Misha Smelyanskiy.

        d = f( MLP_bottom(numbers) ),  e_{m+1} = d beside the embeddings e_1 ... e_m of all other fields
        y = sigmoid( MLP_top([<e_i, e_j> for all i < j; d]) )

    Data: at least one field that is not numeric; without numbers d is not there, and two other fields are
    needed. A sequence must be pooled to one embedding.

    Deviations: none. FuxiCTR itself fails on a list of activations for the bottom MLP; here the last of them
    also stands after its output.

    Args:
        top_mlp_units, bottom_mlp_units: widths of the hidden layers of the two MLPs.
        top_mlp_activations, bottom_mlp_activations: one name for all hidden layers, or one for each; that of
            the last hidden layer of the bottom MLP is f.
        top_mlp_dropout, bottom_mlp_dropout: dropout after each activation of the hidden layers.
        interaction_op: ``dot`` the model above, ``cat`` the e_i side by side in place of the products.
        batch_norm: BatchNorm before each activation of the hidden layers.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DLRM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        top_mlp_units: Sequence[int] = (64, 64, 64),
        bottom_mlp_units: Sequence[int] = (64, 64, 64),
        top_mlp_activations: str | Sequence[str] = "ReLU",
        bottom_mlp_activations: str | Sequence[str] = "ReLU",
        top_mlp_dropout: float = 0.0,
        bottom_mlp_dropout: float = 0.0,
        interaction_op: Literal["dot", "cat"] = "dot",
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        numeric_fields = [name for name, spec in feature_map.features.items() if spec["type"] == "numeric"]
        num_embeddings = feature_map.num_fields - len(numeric_fields) + bool(numeric_fields)
        if len(numeric_fields) == feature_map.num_fields:
            raise ValueError(f"DLRM needs a field that is not numeric, but all {len(numeric_fields)} fields are")
        if interaction_op == "dot":
            top_dim = count_pairs(num_embeddings) + embedding_dim * bool(numeric_fields)
        else:
            top_dim = num_embeddings * embedding_dim
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.numeric_fields = numeric_fields
        self.interaction_op = interaction_op
        self.embedding_layer = FeatureEmbedding(
            feature_map, embedding_dim, not_required_feature_columns=self.numeric_fields
        )
        self.bottom_mlp = None
        if self.numeric_fields:
            self.bottom_mlp = mlp_block(
                len(self.numeric_fields),
                bottom_mlp_units,
                embedding_dim,
                bottom_mlp_activations,
                bottom_mlp_dropout,
                batch_norm,
            )
            last = bottom_mlp_activations if isinstance(bottom_mlp_activations, str) else bottom_mlp_activations[-1]
            self.bottom_activation = get_activation(last, embedding_dim)
        self.top_mlp = mlp_block(top_dim, top_mlp_units, 1, top_mlp_activations, top_mlp_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, m, k)
        parts = []
        if self.bottom_mlp is not None:
            numbers = torch.cat([features[name].float().view(-1, 1) for name in self.numeric_fields], dim=1)
            dense = self.bottom_activation(self.bottom_mlp(numbers))  # (B, k)
            embeddings = torch.cat([embeddings, dense.unsqueeze(1)], dim=1)  # (B, m + 1, k)
            parts = [dense]
        if self.interaction_op == "dot":
            top_input = torch.cat([inner_products(embeddings), *parts], dim=1)
        else:
            top_input = embeddings.flatten(1)
        return {"y_pred": self.output_activation(self.top_mlp(top_input))}
