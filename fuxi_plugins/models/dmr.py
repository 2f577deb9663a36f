"""DMR: how near an item is to what a user did, and to what the user would do next, as features of the ranking."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from .base import CTRModel
from .behaviour_scores import MLPScore
from .fuxictr_layers import mlp_block
from .histories import (
    Fields,
    HistoryEmbedding,
    Positions,
    attention_weights,
    find_histories,
    gather,
    history_length,
    history_width,
    padding_first,
    width_of_others,
)
from .needs import Needs
from .stages import Point, deep_layers


class DMR(CTRModel):
    """DMR weighs a history for the target item, and matches the item with the user whom the history describes.

    Paper: Deep Match to Rank Model for Personalized Click-Through Rate Prediction, AAAI 2020,
    https://doi.org/10.1609/aaai.v34i01.5346.
    Authors: Ze Lyu, Yu Dong, Chengfu Huo, Weijun Ren.

        item to item: q_l = ReLU(W [t; p_l] + b),  e_l = MLP_a([q_l; s_l; q_l - s_l; q_l * s_l])
                      h = sum_l softmax(e)_l s_l,  rel_i2i = sum_l e_l
        user to item: q'_l = ReLU(W' p'_l + b'),  e'_l = MLP_b([q'_l; s_l; q'_l - s_l; q'_l * s_l])
                      u = ReLU(W_o sum_l softmax(e')_l s_l + b_o),  rel_u2i = <u, t'>
        y = sigmoid( MLP([h; rel_i2i; rel_u2i; e_1; ...; e_n]) )

    t is the embedding of the target item, t' its other one, of the items as outputs, s_l those of the behaviours, p_l
    and p'_l of their positions. All sums are over the real behaviours; the last position is the latest's.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled.

    Deviations: positions count back from the latest behaviour, where FuxiCTR counts the places of the padded history
    and takes the user vector of the last place, padded or not. There is no auxiliary loss, which needs sampled items
    that the user passed over and BARS left out. Of a behaviour the queries know its position alone; FuxiCTR's class
    fails with more. FuxiCTR has the output embeddings even where rel_u2i is off, and starts the positions at 0, from
    which q'_l never moves, for the gradient of ReLU is 0 there; here they start at N(0, 1e-4). As in FuxiCTR, output
    embeddings start at N(0, 1).

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        enable_u2i_rel, enable_i2i_rel: whether rel_u2i and rel_i2i are there.
        enable_sum_pooling: the summed history, and its product with the target item, go to the MLP too.
        attention_hidden_units, attention_activation, attention_dropout: of MLP_a and MLP_b.
        use_pos_emb: whether q_l knows the position.
        pos_emb_dim: width of p_l and p'_l.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm, bn_only_once: BatchNorm before each activation of the MLP, or once before its first layer.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DMR",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (512, 128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = True,
        bn_only_once: bool = False,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        enable_sum_pooling: bool = False,
        enable_u2i_rel: bool = True,
        enable_i2i_rel: bool = False,
        attention_hidden_units: Sequence[int] = (80, 40),
        attention_activation: str | Sequence[str] = "ReLU",
        attention_dropout: float = 0.0,
        use_pos_emb: bool = True,
        pos_emb_dim: int = 8,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        lengths = [history_length(feature_map, history) for history in histories]
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.enable_sum_pooling, self.enable_i2i_rel = enable_sum_pooling, enable_i2i_rel
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)

        def score(width: int, output_bias: bool) -> MLPScore:
            return MLPScore(width, attention_hidden_units, attention_activation, attention_dropout, output_bias)

        self.i2i_nets = nn.ModuleList(
            ItemToItem(width, length, pos_emb_dim if use_pos_emb else 0, score(width, output_bias=enable_i2i_rel))
            for width, length in zip(widths, lengths, strict=True)
        )
        self.u2i_nets = self.output_embedding = None
        if enable_u2i_rel:
            self.u2i_nets = nn.ModuleList(
                UserToItem(width, length, pos_emb_dim, score(width, output_bias=False))
                for width, length in zip(widths, lengths, strict=True)
            )
            self.output_embedding = nn.ModuleDict(
                {
                    name: output_table(feature_map, name, embedding_dim)
                    for history in histories
                    for name in history.targets
                }
            )
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        input_dim += sum(widths) * (3 if enable_sum_pooling else 1)
        input_dim += len(histories) * (enable_u2i_rel + enable_i2i_rel)
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm, bn_only_once)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = []
        for index, history in enumerate(self.histories):
            target, behaviours, real = gather(history, embedded, features)
            behaviours, real = padding_first(behaviours, real)
            pooled, rel_i2i = self.i2i_nets[index](target, behaviours, real)
            found.append(pooled)
            if self.enable_i2i_rel:
                found.append(rel_i2i)
            if self.u2i_nets is not None and self.output_embedding is not None:
                outputs = [self.output_embedding[name](features[name].long()) for name in history.targets]
                user = self.u2i_nets[index](behaviours, real)
                found.append((user * torch.cat(outputs, dim=-1)).sum(dim=-1, keepdim=True))
            if self.enable_sum_pooling:
                total = (behaviours * real.unsqueeze(-1)).sum(dim=1)
                found += [total, total * target]
        return {"y_pred": self.output_activation(self.dnn(torch.cat([*found, others], dim=-1)))}

    def stages(self) -> dict[str, Point]:
        """The hidden layers of the MLP, (B, width) each."""
        return deep_layers(self.dnn)


class ItemToItem(nn.Module):
    """target (B, m), behaviours (B, L, m), real (B, L) -> h (B, m) and rel_i2i (B, 1)."""

    def __init__(self, width: int, length: int, position_width: int, score: MLPScore):
        super().__init__()
        self.positions = Positions(length, position_width) if position_width else None
        self.query = nn.Linear(width + position_width, width)
        self.score = score

    def forward(self, target: Tensor, behaviours: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        known = target.unsqueeze(1).expand_as(behaviours)  # (B, L, m)
        if self.positions is not None:
            known = torch.cat([known, self.positions().expand(len(target), -1, -1)], dim=-1)
        scores = self.score(self.query(known).relu(), behaviours)  # (B, L)
        pooled = (attention_weights(scores, real).unsqueeze(-1) * behaviours).sum(dim=1)
        return pooled, (scores * real).sum(dim=1, keepdim=True)


class UserToItem(nn.Module):
    """The user by what the history tells, u: behaviours (B, L, m), real (B, L) -> (B, m)."""

    def __init__(self, width: int, length: int, position_width: int, score: MLPScore):
        super().__init__()
        self.positions = Positions(length, position_width)
        self.query = nn.Linear(position_width, width)
        self.score = score
        self.output = nn.Linear(width, width)

    def forward(self, behaviours: Tensor, real: Tensor) -> Tensor:
        query = self.query(self.positions()).relu()  # (L, m)
        weights = attention_weights(self.score(query.expand_as(behaviours), behaviours), real)
        return self.output((weights.unsqueeze(-1) * behaviours).sum(dim=1)).relu()


def output_table(feature_map: FeatureMap, name: str, embedding_dim: int) -> nn.Embedding:
    """The embeddings of a field as what the user may choose next.

    Raises:
        ValueError: the field has no vocabulary.
    """
    spec = feature_map.features[name]
    if "vocab_size" not in spec:
        raise ValueError(f"rel_u2i needs a categorical field as the target item, but {name} is {spec['type']}")
    width = spec.get("embedding_dim", embedding_dim)
    return nn.Embedding(spec["vocab_size"], width, padding_idx=spec.get("padding_idx"))
