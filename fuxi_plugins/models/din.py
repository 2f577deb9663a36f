"""DIN: what a user did before, weighed by how near it is to the target item."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import Dice, DIN_Attention
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, gather, history_width, width_of_others
from .needs import Needs


class DIN(CTRModel):
    """DIN pools a history with a weight for each behaviour, which an MLP computes from it and the target item.

    Paper: Deep Interest Network for Click-Through Rate Prediction, KDD 2018, https://arxiv.org/abs/1706.06978.
    Authors: Guorui Zhou, Xiaoqiang Zhu, Chenru Song, Ying Fan, Han Zhu, Xiao Ma, Yanghui Yan, Junqi Jin, Han Li, Kun
    Gai.

        a_l = MLP_a([t; s_l; t - s_l; t * s_l]),  h = sum_l a_l s_l over the real behaviours
        y = sigmoid( MLP([e_1; ...; e_n; h]) )

    t is the embedding of the target item, s_l of the behaviours, e_i of all other fields and t.

    Data: a behaviour history that shares its embedding with a categorical field; other sequences must be pooled.

    Deviations: as in FuxiCTR, the attention has t - s and t * s, where the paper has the outer product, and Dice
    is FuxiCTR's.

    Args:
        din_target_field, din_sequence_field: the target items and their histories, one for one; a list within
            the list lays its fields side by side. All histories of the dataset unless given.
        din_use_softmax: the weights of a history sum to one; the paper's do not.
        attention_hidden_units, attention_hidden_activations, attention_output_activation, attention_dropout: of MLP_a.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DIN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        din_target_field: Fields | None = None,
        din_sequence_field: Fields | None = None,
        din_use_softmax: bool = False,
        attention_hidden_units: Sequence[int] = (64,),
        attention_hidden_activations: str | Sequence[str] = "Dice",
        attention_output_activation: str | None = None,
        attention_dropout: float = 0.0,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        histories = find_histories(feature_map, din_target_field, din_sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.attention_layers = nn.ModuleList(
            DIN_Attention(
                width,
                attention_units=list(attention_hidden_units),
                hidden_activations=attention_hidden_activations,
                output_activation=attention_output_activation,
                dropout_rate=attention_dropout,
                use_softmax=din_use_softmax,
            )
            for width in widths
        )
        if dnn_activations == "Dice":
            dnn_activations = [Dice(width) for width in dnn_hidden_units]
        input_dim = width_of_others(feature_map, histories, embedding_dim) + sum(widths)
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        pooled = [
            attention(*gather(history, embedded, features))
            for history, attention in zip(self.histories, self.attention_layers, strict=True)
        ]
        return {"y_pred": self.output_activation(self.dnn(torch.cat([others, *pooled], dim=-1)))}
