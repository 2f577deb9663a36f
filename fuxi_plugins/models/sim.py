"""SIM: the behaviours that matter for the target item are searched for in a long history, then read by attention."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of, require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import Fields, History, HistoryEmbedding, find_histories, history_width, width_of_others
from .long_histories import PickedAttention, check_attention, gather_real, recent_count
from .needs import Needs
from .token_model import given, refuse_unused

Search = Literal["soft", "hard"]


class SIM(CTRModel):
    """SIM searches a history for behaviours near the target item, and attends to those and to the latest ones.

    Paper: Search-based User Interest Modeling with Lifelong Sequential Behavior Data for Click-Through Rate Prediction,
    CIKM 2020, https://arxiv.org/abs/2006.05639.
    Authors: Qi Pi, Guorui Zhou, Yujing Zhang, Zhe Wang, Lejian Ren, Ying Fan, Xiaoqiang Zhu, Kun Gai.

        r_l = (W_a t) . (W_b s_l),  u = sum_l r_l s_l
        y   = sigmoid( MLP([e_1; ...; e_n; h_short; h_long]) ),  y_search = sigmoid( MLP'([e_1; ...; e_n; u]) )
        loss = beta BCE(y) + alpha BCE(y_search)

    t is the embedding of the target item, s_l of the behaviours, e_i of all other fields and t. h_long is the target
    attention over the K behaviours of the highest r, h_short over the latest. ``gsu_type="hard"`` searches for the
    behaviours that have the same value as the target item in one field, such as its category; of more than K the
    latest are read, and there is no second loss.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled. The model is made for thousands of behaviours: where a history has few more than K, it is nearly
    target attention over all.

    Deviations: as in FuxiCTR's LongCTR, the latest behaviours are read by target attention, where the paper has DIEN,
    and the time since a behaviour is not embedded. In LongCTR padding, whose score is 0, is picked before behaviours
    with a negative score; here it never is. LongCTR masks the latest behaviours one place off, which hides the first of
    a history shorter than ``short_seq_len``; that is mended. Hard search is not in LongCTR.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        gsu_type: ``soft`` or ``hard``.
        search_field: of hard search, the field of the target item; needed where a history has several.
        topk: K.
        short_seq_len: how many of the latest h_short reads, the target item counted among them as in LongCTR.
        attention_dim, num_heads, attention_dropout: of both attentions, and the width of W_a t and W_b s.
        alpha, beta: of the losses; alpha is 1 unless given, and has no meaning in hard search.
        dnn_hidden_units, dnn_activations: of both MLPs.
        net_dropout: dropout after each activation of the MLPs.
        batch_norm: BatchNorm before each activation of the MLPs.
    """

    needs = Needs(history=True)
    small_settings: ClassVar = {"dnn_hidden_units": [16], "attention_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "SIM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        gsu_type: Search = "soft",
        search_field: str | None = None,
        topk: int = 50,
        short_seq_len: int = 50,
        attention_dim: int = 64,
        num_heads: int = 1,
        attention_dropout: float = 0.0,
        alpha: float | None = None,
        beta: float = 1.0,
        dnn_hidden_units: Sequence[int] = (512, 128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("gsu_type", gsu_type, Search)
        refused = {"search_field": search_field} if gsu_type == "soft" else {"alpha": alpha}
        refuse_unused(f"with gsu_type={gsu_type!r}", **refused)
        require_positive(topk=topk)
        recent = recent_count(short_seq_len)
        histories = find_histories(feature_map, target_field, sequence_field)
        hard = [searched_fields(feature_map, history, search_field) for history in histories if gsu_type == "hard"]
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        check_attention(widths, attention_dim, num_heads, attention_dropout, use_qkvo=True)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.alpha, self.beta = given(alpha, 1.0), beta
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        attention = (attention_dim, num_heads, attention_dropout)
        self.searches = nn.ModuleList(
            [HardSearch(*fields) for fields in hard] or [SoftSearch(width, attention_dim) for width in widths]
        )
        self.short_attentions = nn.ModuleList(PickedAttention(width, recent, *attention) for width in widths)
        self.long_attentions = nn.ModuleList(PickedAttention(width, topk, *attention) for width in widths)
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        mlp = (dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.dnn_aux = mlp_block(input_dim + sum(widths), *mlp) if gsu_type == "soft" else None
        self.dnn = mlp_block(input_dim + 2 * sum(widths), *mlp)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found, searched = [others], [others]
        parts = (self.histories, self.searches, self.short_attentions, self.long_attentions)
        for history, search, short, long in zip(*parts, strict=True):
            target, behaviours, real = gather_real(history, embedded, features)
            score, candidates = search(target, behaviours, real, features)
            found += [short(target, behaviours, real), long(target, behaviours, candidates, score)]
            if self.dnn_aux is not None:
                searched.append(torch.einsum("bl,blm->bm", score, behaviours))  # u; padding is zero
        predicted = {"y_pred": self.output_activation(self.dnn(torch.cat(found, dim=-1)))}
        if self.dnn_aux is not None:
            predicted["y_search"] = self.output_activation(self.dnn_aux(torch.cat(searched, dim=-1)))
        return predicted

    def add_loss(self, return_dict: dict[str, Tensor], y_true: Tensor) -> Tensor:
        loss = self.beta * super().add_loss(return_dict, y_true)
        if self.dnn_aux is not None:
            loss = loss + self.alpha * self.loss_fn(return_dict["y_search"], y_true, reduction="mean")
        return loss


class SoftSearch(nn.Module):
    """(W_a t) . (W_b s_l) of every behaviour; all that are real may be picked."""

    def __init__(self, width: int, attention_dim: int):
        super().__init__()
        self.of_target = nn.Linear(width, attention_dim, bias=False)  # W_a
        self.of_behaviours = nn.Linear(width, attention_dim, bias=False)  # W_b

    def forward(
        self, target: Tensor, behaviours: Tensor, real: Tensor, features: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """(B, m), (B, L, m) and (B, L) -> scores (B, L), and which behaviours may be picked (B, L)."""
        return torch.einsum("ba,bla->bl", self.of_target(target), self.of_behaviours(behaviours)), real


class HardSearch(nn.Module):
    """A score of 1 for the behaviours that have the same id as the target item; they alone may be picked."""

    def __init__(self, target: str, sequence: str):
        super().__init__()
        self.target, self.sequence = target, sequence

    def forward(
        self, target: Tensor, behaviours: Tensor, real: Tensor, features: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """As in :class:`SoftSearch`."""
        same = features[self.sequence].long() == features[self.target].long().view(-1, 1)
        return same.to(target.dtype), same & real


def searched_fields(feature_map: FeatureMap, history: History, search_field: str | None) -> tuple[str, str]:
    """The field of the target item and the sequence whose ids hard search compares.

    Raises:
        ValueError: it is not told which, or the two do not share their ids.
    """
    if search_field is None and len(history.targets) > 1:
        raise ValueError(f"hard search needs search_field, one of {', '.join(history.targets)}, but none is named")
    target = given(search_field, history.targets[0])
    if target not in history.targets:
        raise ValueError(f"search_field must be one of {', '.join(history.targets)}, but search_field={target!r}")
    sequence = history.sequences[history.targets.index(target)]
    if feature_map.features[sequence].get("share_embedding") != target:
        raise ValueError(f"hard search compares ids, but {sequence!r} does not share the ids of {target!r}")
    return target, sequence
