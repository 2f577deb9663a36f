"""DIEN: how a user's interest evolves towards the target item."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel
from .behaviour_scores import MLPScore
from .dien_cells import Formulation, InterestEvolution, PlainGRU, ResetAfter, ResetBefore
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, gather, history_width, width_of_others
from .needs import Needs

GRUKind = Literal["GRU", "AIGRU", "AGRU", "AUGRU"]
AttentionKind = Literal["bilinear_attention", "din_attention"]


class DIEN(CTRModel):
    """DIEN reads the history with a GRU, then with a second GRU whose steps are weighted by attention.

    Paper: Deep Interest Evolution Network for Click-Through Rate Prediction, AAAI 2019,
    https://arxiv.org/abs/1809.03672.
    Authors: Guorui Zhou, Na Mou, Ying Fan, Qi Pi, Weijie Bian, Chang Zhou, Xiaoqiang Zhu, Kun Gai.

        i_1, ..., i_L = GRU(s_1, ..., s_L),  a = softmax_l( i_l^T W t )
        u_l, r_l = sigmoid([i_l; h_(l-1)] W_g + b_g),  h~_l = tanh([i_l; r_l * h_(l-1)] W_h + b_h)
        AUGRU: u_l <- a_l u_l,  AGRU: u_l <- a_l;  h_l = (1 - u_l) * h_(l-1) + u_l * h~_l
        y = sigmoid( MLP([e_1; ...; e_n; h_L]) )

    AIGRU is a plain GRU over a_l i_l, GRU one over i_l. h_L is the state after the last real behaviour, 0 without any.

    ``formulation`` says which cell AGRU and AUGRU have; the sources differ, and ``mixed``, above, is none of theirs:

        paper:          h~_l = tanh(V i_l + r_l * (U h_(l-1)) + b), the reset after the matrix, with the gates above
        fuxictr:        h~_l = tanh(V i_l + b + r_l * (U h_(l-1) + c)), and two biases in the gates too
        official_code:  the candidate above; AUGRU: u_l <- (1 - a_l) u_l,  h_l = u_l * h_(l-1) + (1 - u_l) * h~_l

    Data: a behaviour history that shares its embedding with a categorical field; other sequences must be pooled.

    Deviations: there is no auxiliary loss, which needs the items that a user passed over and BARS left out too.
    FuxiCTR's class needs histories padded behind, and packs them wrongly if they are padded in front; here either
    will do. Its bilinear attention starts at the identity, and its Dice in the attention sees no row without
    behaviours, which is so here with its cell alone. In AGRU, where u_l is a_l, the maps that would give u_l are left
    out in every formulation.

    Args:
        dien_target_field, dien_sequence_field: the target items and their histories, one for one; a list within
            the list lays its fields side by side. All histories of the dataset unless given.
        gru_type: of the second GRU.
        formulation: of the cell of AGRU and AUGRU, as above. The gates of ``official_code`` start with a bias of 1.
        attention_type: ``bilinear_attention`` as above, or ``din_attention``, an MLP's of [t; i; t - i; t * i].
        use_attention_softmax: whether the weights of a history sum to one.
        attention_hidden_units, attention_activation, attention_dropout: of that MLP.
        enable_sum_pooling: the summed history, and its product with the target item, go to the MLP too.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)
    added_settings: ClassVar = ("formulation",)

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
        formulation: Formulation = "mixed",
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
        require_one_of("formulation", formulation, Formulation)
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
                return BilinearScore(width, starts_at_identity=formulation == "fuxictr")
            return MLPScore(width, attention_hidden_units, attention_activation, attention_dropout)

        def evolution(width: int) -> InterestEvolution:
            common = (width, attention(width), use_attention_softmax, formulation)
            if gru_type in ("GRU", "AIGRU"):
                return PlainGRU(*common)
            cell = ResetAfter if formulation in ("paper", "fuxictr") else ResetBefore
            return cell(*common, has_update_gate=gru_type == "AUGRU")

        self.evolutions = nn.ModuleList(evolution(width) for width in widths)
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

    def __init__(self, width: int, starts_at_identity: bool):
        super().__init__()
        self.starts_at_identity = starts_at_identity
        self.linear = nn.Linear(width, width, bias=False)

    def init_weights(self) -> None:
        """Starts W; FuxiCTR calls it after resetting its own layers."""
        if self.starts_at_identity:
            nn.init.eye_(self.linear.weight)

    def forward(self, target: Tensor, interests: Tensor) -> Tensor:
        return (interests * self.linear(target).unsqueeze(1)).sum(dim=-1)
