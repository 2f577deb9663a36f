"""DIEN: how a user's interest evolves towards the target item."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel
from .behaviour_scores import MLPScore
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, gather, history_width, latest_last, width_of_others
from .needs import Needs

GRUKind = Literal["GRU", "AIGRU", "AGRU", "AUGRU"]
AttentionKind = Literal["bilinear_attention", "din_attention"]


class DIEN(CTRModel):
    """DIEN reads the history with a GRU, then with a second GRU whose steps are weighted by attention.

    Paper: Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019,
    https://arxiv.org/abs/1809.03672.

        i_1, ..., i_L = GRU(s_1, ..., s_L),  a = softmax_l( i_l^T W t )
        u_l, r_l = sigmoid([i_l; h_(l-1)] W_g + b_g),  h~_l = tanh([i_l; r_l * h_(l-1)] W_h + b_h)
        AUGRU: u_l <- a_l u_l,  AGRU: u_l <- a_l;  h_l = (1 - u_l) * h_(l-1) + u_l * h~_l
        y = sigmoid( MLP([e_1; ...; e_n; h_L]) )

    AIGRU is a plain GRU over a_l i_l, GRU one over i_l. h_L is the state after the last real behaviour, 0 without any.

    Data: a behaviour history that shares its embedding with a categorical field; other sequences must be pooled.

    Deviations: there is no auxiliary loss, which needs the items that a user passed over and BARS left out too.
    FuxiCTR's class needs histories padded behind, and packs them wrongly if they are padded in front; here either
    will do.

    Args:
        dien_target_field, dien_sequence_field: the target items and their histories, one for one; a list within
            the list lays its fields side by side. All histories of the dataset unless given.
        gru_type: of the second GRU.
        attention_type: ``bilinear_attention`` as above, or ``din_attention``, an MLP's of [t; i; t - i; t * i].
        use_attention_softmax: whether the weights of a history sum to one.
        attention_hidden_units, attention_activation, attention_dropout: of that MLP.
        enable_sum_pooling: the summed history, and its product with the target item, go to the MLP too.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DIEN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dien_target_field: Fields | None = None,
        dien_sequence_field: Fields | None = None,
        gru_type: GRUKind = "AUGRU",
        attention_type: AttentionKind = "bilinear_attention",
        use_attention_softmax: bool = True,
        attention_hidden_units: Sequence[int] = (80, 40),
        attention_activation: str | Sequence[str] = "Dice",
        attention_dropout: float = 0.0,
        enable_sum_pooling: bool = False,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("gru_type", gru_type, GRUKind)
        require_one_of("attention_type", attention_type, AttentionKind)
        histories = find_histories(feature_map, dien_target_field, dien_sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.enable_sum_pooling = enable_sum_pooling
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)

        def attention(width: int) -> nn.Module | None:
            if gru_type == "GRU":
                return None
            if attention_type == "bilinear_attention":
                return BilinearScore(width)
            return MLPScore(width, attention_hidden_units, attention_activation, attention_dropout)

        self.evolutions = nn.ModuleList(
            InterestEvolution(width, gru_type, attention(width), use_attention_softmax) for width in widths
        )
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        input_dim += sum(widths) * (3 if enable_sum_pooling else 1)
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = [others]
        for history, evolution in zip(self.histories, self.evolutions, strict=True):
            target, behaviours, real = gather(history, embedded, features)
            found.append(evolution(target, behaviours, real))
            if self.enable_sum_pooling:
                total = (behaviours * real.unsqueeze(-1)).sum(dim=1)
                found += [total, total * target]
        return {"y_pred": self.output_activation(self.dnn(torch.cat(found, dim=-1)))}


class BilinearScore(nn.Module):
    """i_l^T W t: target (B, m), interests (B, L, m) -> (B, L)."""

    def __init__(self, width: int):
        super().__init__()
        self.linear = nn.Linear(width, width, bias=False)

    def forward(self, target: Tensor, interests: Tensor) -> Tensor:
        return (interests * self.linear(target).unsqueeze(1)).sum(dim=-1)


class InterestEvolution(nn.Module):
    """The two GRUs and the attention between them: target (B, m), behaviours (B, L, m), real (B, L) -> (B, m)."""

    def __init__(self, width: int, gru_type: GRUKind, score: nn.Module | None, use_softmax: bool):
        super().__init__()
        self.gru_type, self.use_softmax = gru_type, use_softmax
        self.extraction = nn.GRU(width, width, batch_first=True)
        self.score = score
        if gru_type in ("GRU", "AIGRU"):
            self.evolution = nn.GRU(width, width, batch_first=True)
        else:
            self.gates = nn.Linear(2 * width, width if gru_type == "AGRU" else 2 * width)
            self.candidate = nn.Linear(2 * width, width)

    def forward(self, target: Tensor, behaviours: Tensor, real: Tensor) -> Tensor:
        behaviours, real = latest_last(behaviours, real)  # padding behind: no state depends on it
        interests = self.extraction(behaviours)[0]  # (B, L, m)
        if self.score is None:  # no attention
            return last_real(self.evolution(interests)[0], real)
        weight = self.score(target, interests)  # (B, L)
        if self.use_softmax:
            weight = weight.masked_fill(~real, -1e9).softmax(dim=1)
        weight = weight * real
        if self.gru_type == "AIGRU":
            return last_real(self.evolution(interests * weight.unsqueeze(-1))[0], real)
        return self.evolve(interests, weight.unsqueeze(-1), real.unsqueeze(-1))

    def evolve(self, interests: Tensor, weight: Tensor, real: Tensor) -> Tensor:
        """The recurrence of AGRU and AUGRU; a padded step leaves the state as it is."""
        h = torch.zeros_like(interests[:, 0])
        for i, a, is_real in zip(interests.unbind(1), weight.unbind(1), real.unbind(1), strict=True):
            gates = self.gates(torch.cat([i, h], dim=-1)).sigmoid()
            if self.gru_type == "AUGRU":
                u, r = gates.chunk(2, dim=-1)
                u = a * u
            else:
                u, r = a, gates
            h_new = self.candidate(torch.cat([i, r * h], dim=-1)).tanh()
            h = torch.where(is_real, (1 - u) * h + u * h_new, h)
        return h


def last_real(states: Tensor, real: Tensor) -> Tensor:
    """The state after the last real behaviour (B, m), 0 for a row without any; real ones come first."""
    count = real.sum(dim=1)
    index = (count - 1).clamp(min=0).view(-1, 1, 1).expand(-1, 1, states.shape[-1])
    return states.gather(1, index).squeeze(1) * (count > 0).unsqueeze(-1)
