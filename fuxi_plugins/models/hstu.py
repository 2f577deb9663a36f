"""HSTU: attention without softmax, whose output is gated, over fields, behaviours and the target item."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive
from fuxi_plugins.layers.checks import require_rate

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import (
    Fields,
    HistoryEmbedding,
    TokenProjection,
    ages,
    field_widths,
    find_histories,
    gather,
    history_width,
    padding_first,
)
from .needs import Needs


class HSTU(CTRModel):
    """HSTU applies attention without a softmax to fields, behaviours and the target item, and gates its output.

    Paper: Actions Speak Louder than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations,
    ICML 2024, https://arxiv.org/abs/2402.17152.
    Authors: Jiaqi Zhai, Lucy Liao, Xing Liu, Yueming Wang, Rui Li, Xuan Cao, Leon Gao, Zhaojie Gong, Fangda Gu, Jiayuan
    He, Yinghai Lu, Yu Shi.

        [U; V; Q; K] = W LN(X) + b,  U = SiLU(U)
        C  = SiLU( Q K^T / sqrt(a) ) V / m, over the places up to one's own
        X' = X + W_o [U; C; U * LN(C)]

    a is the width of a query in a head, m the greatest number of places. The places are a token for every field, the
    behaviours in their order, and the target item. The prediction is an MLP of LN of the item's output and of the mean
    of the fields' outputs.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled.

    Deviations: the layer is the authors' present code. In the paper SiLU is taken of V, Q and K too (``silu_on_all``),
    W_o maps U * LN(C) alone (``gated_output_only``), and the scores have a bias of relative position and time; as in
    the code, a learned embedding of the position is added to a behaviour instead, here counted from the latest. Times
    are not in the data. A history has one learned vector for what kind of act it holds, where the code embeds each act.
    How a row becomes places is our reading: each field has a linear map; the target item is a token of the linear
    map that its behaviours have, one for each target item where histories have several; histories follow each other
    as named. The code lets fields see the behaviours, here they see the fields before them. The head is ours, and
    RMSNorm of the embeddings comes before the tokens, as in RankMixer. The authors train to generate the next
    behaviours, here a click is predicted.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        token_dim, num_blocks, num_heads: width, depth, and heads of the attention.
        attention_dim, hidden_dim: a, and the width of U and V in a head.
        silu_on_all, gated_output_only: the paper's forms.
        output_dropout: of what W_o maps.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)
    board_settings: ClassVar = {"attention_dim": 8, "hidden_dim": 8}
    small_settings: ClassVar = {"token_dim": 8, "attention_dim": 4, "hidden_dim": 4, "dnn_hidden_units": [16]}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "HSTU",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        token_dim: int = 64,
        num_blocks: int = 2,
        num_heads: int = 2,
        attention_dim: int = 32,
        hidden_dim: int = 32,
        silu_on_all: bool = False,
        gated_output_only: bool = False,
        output_dropout: float = 0.0,
        dnn_hidden_units: Sequence[int] = (128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = {history.targets: history_width(feature_map, history, embedding_dim) for history in histories}
        lengths = [feature_map.features[history.sequences[0]]["max_len"] for history in histories]
        of_fields = field_widths(feature_map, histories, embedding_dim)
        require_positive(
            token_dim=token_dim,
            num_blocks=num_blocks,
            num_heads=num_heads,
            attention_dim=attention_dim,
            hidden_dim=hidden_dim,
        )
        require_rate("output_dropout", output_dropout)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.targets = list(widths)  # each target item once
        self.fields = list(of_fields)
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.field_tokens = nn.ModuleList(TokenProjection(width, token_dim) for width in of_fields.values())
        self.item_tokens = nn.ModuleList(TokenProjection(width, token_dim) for width in widths.values())
        self.positions = nn.ParameterList(torch.empty(length, token_dim) for length in lengths)
        self.acts = nn.ParameterList(torch.empty(token_dim) for _ in histories)
        for vectors in (*self.positions, *self.acts):
            nn.init.normal_(vectors, std=0.02)
        self.layers = nn.ModuleList(
            HSTULayer(
                token_dim,
                num_heads,
                attention_dim,
                hidden_dim,
                max_length=len(of_fields) + sum(lengths) + len(widths),
                silu_on_all=silu_on_all,
                gated_output_only=gated_output_only,
                dropout=output_dropout,
            )
            for _ in range(num_blocks)
        )
        self.norm = nn.LayerNorm(token_dim)
        self.dnn = mlp_block(
            token_dim * (len(widths) + 1), dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, _ = self.embedding_layer(features)
        x, real = self.places(embedded, features)
        visible = real.unsqueeze(1) & torch.ones_like(real[0]).expand(real.shape[1], -1).tril()  # (B, n, n)
        for layer in self.layers:
            x = layer(x, visible)
        x = self.norm(x)
        fields = x[:, : len(self.fields)].mean(dim=1)
        items = x[:, -len(self.targets) :].flatten(1)
        return {"y_pred": self.output_activation(self.dnn(torch.cat([items, fields], dim=1)))}

    def places(self, embedded: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The tokens of fields, behaviours and target items (B, n, D), and which of them are real (B, n)."""
        fields = [to_token(embedded[name]) for to_token, name in zip(self.field_tokens, self.fields, strict=True)]
        items = dict(zip(self.targets, self.item_tokens, strict=True))
        tokens, real = [torch.stack(fields, dim=1)], [fields[0].new_ones(len(fields[0]), len(fields))]
        at_hand = {}
        for history, position, act in zip(self.histories, self.positions, self.acts, strict=True):
            target, behaviours, are_real = gather(history, embedded, features)
            behaviours, are_real = padding_first(behaviours, are_real)
            tokens.append(items[history.targets](behaviours) + position[ages(are_real)] + act)
            real.append(are_real)
            at_hand[history.targets] = items[history.targets](target)
        tokens.append(torch.stack(list(at_hand.values()), dim=1))
        real.append(fields[0].new_ones(len(fields[0]), len(at_hand)))
        return torch.cat(tokens, dim=1), torch.cat([part.bool() for part in real], dim=1)


class HSTULayer(nn.Module):
    """A layer of HSTU, (B, n, D) and which places each sees (B, n, n) -> (B, n, D).

    Args:
        token_dim, num_heads, attention_dim, hidden_dim: as in :class:`HSTU`.
        max_length: m.
        silu_on_all: SiLU of V, Q and K too.
        gated_output_only: U * LN(C) alone is mapped.
        dropout: of what is mapped.
    """

    def __init__(
        self,
        token_dim: int,
        num_heads: int,
        attention_dim: int,
        hidden_dim: int,
        max_length: int,
        silu_on_all: bool = False,
        gated_output_only: bool = False,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.num_heads, self.max_length = num_heads, max_length
        self.silu_on_all, self.gated_output_only = silu_on_all, gated_output_only
        self.widths = [num_heads * width for width in (hidden_dim, hidden_dim, attention_dim, attention_dim)]
        self.norm = nn.LayerNorm(token_dim, eps=1e-6)
        self.uvqk = nn.Linear(token_dim, sum(self.widths))
        self.out_norm = nn.LayerNorm(num_heads * hidden_dim, eps=1e-6)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(num_heads * hidden_dim * (1 if gated_output_only else 3), token_dim, bias=False)

    def forward(self, x: Tensor, visible: Tensor) -> Tensor:
        u, v, q, k = self.uvqk(self.norm(x)).split(self.widths, dim=-1)
        u = F.silu(u)
        if self.silu_on_all:
            v, q, k = F.silu(v), F.silu(q), F.silu(k)
        v, q, k = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (v, q, k))
        scores = F.silu(q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5) / self.max_length  # (B, heads, n, n)
        c = ((scores * visible.unsqueeze(1)) @ v).transpose(1, 2).flatten(2)  # (B, n, heads * h)
        gated = u * self.out_norm(c)
        found = gated if self.gated_output_only else torch.cat([u, c, gated], dim=-1)
        return x + self.out(self.dropout(found))
