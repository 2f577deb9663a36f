"""DMIN: several interests of a user, each a head of attention over the history, weighed for the target item."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_one_of, require_positive

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

RefinerMask = Literal["causal", "fuxictr"]


class DMIN(CTRModel):
    """DMIN takes each head of a self-attention over the history as one interest, and pools it for the target item.

    Paper: Deep Multi-Interest Network for Click-through Rate Prediction, CIKM 2020,
    https://doi.org/10.1145/3340531.3412092.
    Authors: Zhibo Xiao, Luwei Yang, Wen Jiang, Yi Wei, Yi Hu, Hao Wang.

        refiner: R = LayerNorm(S + A),  S' = R + FFN(R),  A the multi-head attention of S
        interest h = 1..H: C_h = LayerNorm( S' + softmax(Q_h K_h^T / sqrt(d)) V_h W_h ),  Z_h = C_h + FFN_h(C_h)
                           t_l = W [t; p_l] + b,  e_l = MLP_h([t_l; z_l; t_l - z_l; t_l * z_l])
                           i_h = sum_l softmax(e)_l z_l
        y = sigmoid( MLP([i_1; ...; i_H; e_1; ...; e_n]) )

    S holds a behaviour in each row, t is the embedding of the target item, p_l that of a position. Q, K and V are
    linear in S', d = m / H, W_h (d, m), FFN a map to 2 m, ReLU and a map back. In both
    attentions a behaviour sees itself and those before it.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled.

    Deviations: positions count back from the latest behaviour, where FuxiCTR counts the places of the padded history.
    There is no auxiliary loss, which needs sampled items that the user passed over and BARS left out. A row without
    behaviours has interests of 0, where FuxiCTR has the mean over its padding. The default of ``num_heads`` is 2 and
    not FuxiCTR's 4, so that it divides more widths.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        num_heads: H, a divisor of the width of a behaviour.
        use_behavior_refiner: without it S' = S.
        refiner_mask: ``causal`` as above; ``fuxictr`` adds 1 to the scores of later and padded behaviours in place of
            hiding them, which is what FuxiCTR's class does.
        attention_hidden_units, attention_activation: of MLP_h.
        attention_dropout: of the weights of the self attentions, and after each activation of MLP_h.
        use_pos_emb: without it t_l = t.
        pos_emb_dim: width of p_l.
        enable_sum_pooling: the summed history, and its product with the target item, go to the MLP too.
        layer_norm: whether the LayerNorms are there.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP, and after the self attentions.
        batch_norm, bn_only_once: BatchNorm before each activation of the MLP, or once before its first layer.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DMIN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (512, 128, 64),
        dnn_activations: str | Sequence[str] = "Dice",
        net_dropout: float = 0.0,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        num_heads: int = 2,
        enable_sum_pooling: bool = False,
        attention_hidden_units: Sequence[int] = (80, 40),
        attention_activation: str | Sequence[str] = "ReLU",
        attention_dropout: float = 0.0,
        use_pos_emb: bool = True,
        pos_emb_dim: int = 8,
        use_behavior_refiner: bool = True,
        refiner_mask: RefinerMask = "causal",
        batch_norm: bool = True,
        bn_only_once: bool = False,
        layer_norm: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("refiner_mask", refiner_mask, RefinerMask)
        require_positive(num_heads=num_heads)
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        for width in widths:
            require_multiple(behaviour_width=width, num_heads=num_heads)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.enable_sum_pooling = enable_sum_pooling
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.refiners = None
        if use_behavior_refiner:
            self.refiners = nn.ModuleList(
                BehaviorRefiner(width, num_heads, refiner_mask, attention_dropout, net_dropout, layer_norm)
                for width in widths
            )

        def pooling(width: int, length: int) -> TargetPooling:
            score = MLPScore(width, attention_hidden_units, attention_activation, attention_dropout, output_bias=False)
            return TargetPooling(width, length, pos_emb_dim if use_pos_emb else 0, score)

        self.interests = nn.ModuleList(
            MultiInterest(
                width,
                [pooling(width, history_length(feature_map, history)) for _ in range(num_heads)],
                attention_dropout,
                net_dropout,
                layer_norm,
            )
            for width, history in zip(widths, histories, strict=True)
        )
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        input_dim += sum(widths) * (num_heads + (2 if enable_sum_pooling else 0))
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm, bn_only_once)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = []
        for index, history in enumerate(self.histories):
            target, behaviours, real = gather(history, embedded, features)
            behaviours, real = padding_first(behaviours, real)
            refined = behaviours if self.refiners is None else self.refiners[index](behaviours, real)
            found += self.interests[index](refined, target, real)
            if self.enable_sum_pooling:
                total = (behaviours * real.unsqueeze(-1)).sum(dim=1)
                found += [total, total * target]
        return {"y_pred": self.output_activation(self.dnn(torch.cat([*found, others], dim=-1)))}

    def stages(self) -> dict[str, Point]:
        """The hidden layers of the MLP, (B, width) each."""
        return deep_layers(self.dnn)


def seen_by(real: Tensor) -> Tensor:
    """Which behaviours each sees: itself, and the real ones before it; real (B, L) -> (B, L, L), reader by read.

    >>> seen_by(torch.tensor([[False, True, True]])).int()
    tensor([[[1, 0, 0],
             [0, 1, 0],
             [0, 1, 1]]], dtype=torch.int32)
    """
    length = real.shape[1]
    ones = torch.ones(length, length, dtype=torch.bool, device=real.device)
    return (real.unsqueeze(1) & ones.tril()) | torch.eye(length, dtype=torch.bool, device=real.device)


class BehaviorRefiner(nn.Module):
    """R = LayerNorm(S + dropout(A)), R + FFN(R); behaviours (B, L, m), real (B, L) -> (B, L, m)."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        mask: RefinerMask,
        attention_dropout: float,
        dropout: float,
        layer_norm: bool,
    ):
        super().__init__()
        self.num_heads, self.mask = num_heads, mask
        self.attention = nn.MultiheadAttention(width, num_heads, attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.ffn = feed_forward(width)

    def forward(self, behaviours: Tensor, real: Tensor) -> Tensor:
        hidden = ~seen_by(real).repeat_interleave(self.num_heads, dim=0)  # (B H, L, L)
        mask = hidden if self.mask == "causal" else hidden.to(behaviours.dtype)
        attended, _ = self.attention(behaviours, behaviours, behaviours, attn_mask=mask, need_weights=False)
        refined = self.layer_norm(self.dropout(attended) + behaviours)
        return self.ffn(refined) + refined


class MultiInterest(nn.Module):
    """A self attention whose heads go each their own way: behaviours (B, L, m), target (B, m), real -> H of (B, m)."""

    def __init__(
        self,
        width: int,
        poolings: Sequence["TargetPooling"],
        attention_dropout: float,
        dropout: float,
        layer_norm: bool,
    ):
        super().__init__()
        self.num_heads = len(poolings)
        self.attention_dropout = attention_dropout
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.heads = nn.ModuleList(
            Interest(width // self.num_heads, width, pooling, dropout, layer_norm) for pooling in poolings
        )

    def forward(self, behaviours: Tensor, target: Tensor, real: Tensor) -> list[Tensor]:
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, L, d)
            for part in self.queries_keys_values(behaviours).chunk(3, dim=-1)
        )
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, seen_by(real).unsqueeze(1), dropout)
        return [head(own, behaviours, target, real) for head, own in zip(self.heads, attended.unbind(1), strict=True)]


class Interest(nn.Module):
    """What one head found, pooled for the target: attended (B, L, d), behaviours (B, L, m), target, real -> (B, m)."""

    def __init__(self, head_width: int, width: int, pooling: "TargetPooling", dropout: float, layer_norm: bool):
        super().__init__()
        self.output = nn.Linear(head_width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.ffn = feed_forward(width)
        self.pooling = pooling

    def forward(self, attended: Tensor, behaviours: Tensor, target: Tensor, real: Tensor) -> Tensor:
        c = self.layer_norm(self.dropout(self.output(attended)) + behaviours)
        return self.pooling(self.ffn(c) + c, target, real)


class TargetPooling(nn.Module):
    """sum_l softmax(e)_l z_l with scores e by target and position: z (B, L, m), target (B, m), real -> (B, m)."""

    def __init__(self, width: int, length: int, position_width: int, score: MLPScore):
        super().__init__()
        self.positions = Positions(length, position_width) if position_width else None
        self.query = nn.Linear(width + position_width, width) if position_width else None
        self.score = score

    def forward(self, z: Tensor, target: Tensor, real: Tensor) -> Tensor:
        query = target.unsqueeze(1).expand_as(z)
        if self.positions is not None and self.query is not None:
            query = self.query(torch.cat([query, self.positions().expand(len(z), -1, -1)], dim=-1))
        weights = attention_weights(self.score(query, z), real)
        return (weights.unsqueeze(-1) * z).sum(dim=1)


def feed_forward(width: int) -> nn.Sequential:
    """A map to twice the width, ReLU, and a map back."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
