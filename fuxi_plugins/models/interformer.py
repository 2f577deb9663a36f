"""InterFormer: field tokens and a behaviour sequence that learn from summaries of each other, layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_one_of, require_positive

from .base import CTRModel
from .dhen import TokenMap
from .fuxictr_layers import mlp_block
from .histories import (
    Fields,
    HistoryEmbedding,
    find_histories,
    gather,
    history_length,
    history_width,
    padding_first,
    width_of_others,
)
from .interformer_layers import (
    FieldInteraction,
    Gate,
    GateKind,
    HistorySummary,
    InterFormerLayer,
    MaskedProjection,
    SequenceInteraction,
)
from .needs import Needs
from .stages import Point


class InterFormer(CTRModel):
    """InterFormer lets fields interact with a summary of the history, and the history with a summary of the fields.

    Paper: InterFormer: Effective Heterogeneous Interaction Learning for Click-Through Rate Prediction, CIKM 2025,
    https://arxiv.org/abs/2411.09852.
    Authors: Zhichen Zeng, Xiaolong Liu, Mengyue Hang, Xiaoyi Liu, Qinghai Zhou, Chaofei Yang, Yiqun Liu, Yichen Ruan,
    Laming Chen, Yuxin Chen, Yujia Hao, Jiaqi Xu, Jade Nie, Xi Liu, Buyun Zhang, Wei Wen, Siyang Yuan, Hang Yin, Xin
    Zhang, Kai Wang, Wen-Yen Chen, Yiping Han, Huayu Li, Chunzhi Yang, Bo Long, Philip S. Yu, Hanghang Tong, Jiyan Yang.

        X a field embedding in each row, S = [Gate(A X); the behaviours], both anew in every layer:
        X_sum = Gate(A X),  S_sum = Gate([S_cls; S_pool; S_recent])
        X' = RMSNorm( X + I([X; S_sum]) ),  S' = S + Attention( RMSNorm( S (X_sum^T W)^T ) )
        y = sigmoid( MLP([X_sum; S_sum]) ) of the last X and S,  Gate(Z) = Z * sigmoid(MLP(Z)) row by row

    A mixes the rows. S_cls are the places in front of the behaviours, S_pool what learned queries find among the
    behaviours by attention, S_recent the latest ones. X_sum^T W (k, k) is a matrix for every row of data, of the rank
    of X_sum. I adds an MLP of all inner products of rows to a low-rank cross of vec([X; S_sum]). The attention turns
    queries and keys by their places.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; all other
    fields are of ``embedding_dim``, and other sequences must be pooled.

    Deviations: no code of the authors is published, and the text leaves much open. Our reading: the gate keeps Z
    outside of the sigmoid, for the text's formula squeezes every summary into (0, 1); the residuals and norms above;
    the two parts of I, after DHEN and DCN; a last pair of summaries after the last layer; numeric fields each have an
    embedding, where the paper has one for all of them together.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given. Several histories are laid side by side
            place by place, the latest last, and projected to ``embedding_dim``.
        num_layers: layers.
        num_heads: of the attention; the width of a head must be even.
        num_summary_tokens: rows of X_sum.
        num_cls_tokens, num_pooling_tokens, num_recent_tokens: rows of S_cls, S_pool and S_recent.
        gate: ``self`` as above, or ``paper``, sigmoid(Z * MLP(Z)).
        dot_width: width of the hidden layer of the MLP of inner products.
        cross_rank: rank of the cross.
        dnn_hidden_units, dnn_activations: of the last MLP.
        net_dropout: dropout after each activation of the last MLP, and of the weights of the attention.
        batch_norm: BatchNorm before each activation of the last MLP.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "InterFormer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        num_layers: int = 2,
        num_heads: int = 1,
        num_summary_tokens: int = 4,
        num_cls_tokens: int = 4,
        num_pooling_tokens: int = 2,
        num_recent_tokens: int = 2,
        gate: GateKind = "self",
        dot_width: int = 64,
        cross_rank: int = 16,
        dnn_hidden_units: Sequence[int] = (64, 64),
        dnn_activations: str | Sequence[str] = "SiLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("gate", gate, GateKind)
        require_positive(
            num_layers=num_layers,
            num_heads=num_heads,
            num_summary_tokens=num_summary_tokens,
            num_cls_tokens=num_cls_tokens,
            num_pooling_tokens=num_pooling_tokens,
            num_recent_tokens=num_recent_tokens,
            dot_width=dot_width,
            cross_rank=cross_rank,
        )
        require_multiple(embedding_dim=embedding_dim, twice_num_heads=2 * num_heads)
        histories = find_histories(feature_map, target_field, sequence_field)
        length = max(history_length(feature_map, history) for history in histories)
        if num_recent_tokens > length:
            raise ValueError(
                f"num_recent_tokens must be at most the {length} places of a history, but it is {num_recent_tokens}"
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        k = embedding_dim
        self.histories, self.length = histories, length
        self.embedding_layer = HistoryEmbedding(feature_map, k, histories)
        num_fields = width_of_others(feature_map, histories, k) // k
        history_widths = sum(history_width(feature_map, history, k) for history in histories)
        self.behaviours = MaskedProjection(history_widths, k) if history_widths != k else nn.Identity()

        def summary_of_fields(tokens: int) -> nn.Module:
            return nn.Sequential(TokenMap(num_fields, tokens), Gate(k, gate))

        def summary_of_history() -> nn.Module:
            return HistorySummary(k, num_cls_tokens, num_pooling_tokens, num_recent_tokens, Gate(k, gate))

        summary_rows = num_cls_tokens + num_pooling_tokens + num_recent_tokens
        self.cls_tokens = summary_of_fields(num_cls_tokens)
        self.layers = nn.ModuleList(
            InterFormerLayer(
                summary_of_fields(num_summary_tokens),
                summary_of_history(),
                FieldInteraction(num_fields, summary_rows, k, dot_width, cross_rank),
                SequenceInteraction(num_summary_tokens, k, num_heads, net_dropout),
            )
            for _ in range(num_layers)
        )
        self.last_of_fields = summary_of_fields(num_summary_tokens)
        self.last_of_history = summary_of_history()
        input_dim = (num_summary_tokens + summary_rows) * k
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        behaviours, real = self.side_by_side(embedded, features)
        s = self.behaviours(behaviours)  # (B, L, k)
        x = others.unflatten(1, (-1, s.shape[-1]))  # (B, n, k)
        s = torch.cat([self.cls_tokens(x), s], dim=1)  # (B, cls + L, k)
        for layer in self.layers:
            x, s = layer(x, s, real)
        summaries = torch.cat([self.last_of_fields(x), self.last_of_history(s, real)], dim=1)
        return {"y_pred": self.output_activation(self.dnn(summaries.flatten(1)))}

    def side_by_side(self, embedded: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The histories place by place (B, L, sum of m), zero where one has no behaviour, and where any has (B, L)."""
        found, reals = [], []
        for history in self.histories:
            _, behaviours, real = gather(history, embedded, features)
            behaviours, real = padding_first(behaviours, real)
            missing = self.length - real.shape[1]
            found.append(F.pad(behaviours * real.unsqueeze(-1), (0, 0, missing, 0)))
            reals.append(F.pad(real, (missing, 0)))
        return torch.cat(found, dim=-1), torch.stack(reals).any(dim=0)

    def stages(self) -> dict[str, Point]:
        """The fields' tokens after each layer, (B, n, k)."""
        return {
            f"fields_{depth}": layer.get_submodule("fields.norm") for depth, layer in enumerate(self.layers, start=1)
        }
