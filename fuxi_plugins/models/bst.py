"""BST: a transformer over the history and the target item."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, gather, history_width, width_of_others
from .needs import Needs

Pooling = Literal["mean", "sum", "target", "concat"]


class BST(CTRModel):
    """BST applies a transformer to the history followed by the target item, and an MLP to its output.

    Paper: Behavior Sequence Transformer for E-commerce Recommendation in Alibaba, DLP-KDD 2019,
    https://arxiv.org/abs/1905.06874.
    Authors: Qiwei Chen, Huan Zhao, Wei Li, Pipei Huang, Wenwu Ou.

        X = [s_1 p_1; ...; s_L p_L; t p_(L+1)],  each block: S = LN(X + MHA(X)),  X' = LN(S + FFN(S))
        y = sigmoid( MLP([e_1; ...; e_n; pool(X')]) )

    p_l are learned embeddings of the position, FFN(S) = W_2 LeakyReLU(W_1 S). Padding is masked.

    Data: a behaviour history that shares its embedding with a categorical field; other sequences must be pooled.

    Deviations: as in FuxiCTR, positions start as sines, where the paper has the time since the behaviour. With
    ``concat``, padded places are 0, where FuxiCTR has what its blocks make of padding.

    Args:
        bst_target_field, bst_sequence_field: the target items and their histories, one for one; a list within
            the list lays its fields side by side. All histories of the dataset unless given.
        num_heads, stacked_transformer_layers, attention_dropout: of the transformer.
        use_position_emb: whether p is there.
        use_causal_mask: a behaviour sees those before it only.
        layer_norm, use_residual: whether a block has them.
        seq_pooling_type: ``mean`` or ``sum`` over what is real, ``target`` the last place, ``concat`` all places.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout in the blocks and after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "BST",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        bst_target_field: Fields | None = None,
        bst_sequence_field: Fields | None = None,
        num_heads: int = 2,
        stacked_transformer_layers: int = 1,
        attention_dropout: float = 0.0,
        use_position_emb: bool = True,
        use_causal_mask: bool = False,
        layer_norm: bool = True,
        use_residual: bool = True,
        seq_pooling_type: Pooling = "mean",
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("seq_pooling_type", seq_pooling_type, Pooling)
        histories = find_histories(feature_map, bst_target_field, bst_sequence_field)
        lengths = [feature_map.features[history.sequences[0]]["max_len"] + 1 for history in histories]
        position_dim = embedding_dim if use_position_emb else 0
        widths = [history_width(feature_map, history, embedding_dim) + position_dim for history in histories]
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.seq_pooling_type = seq_pooling_type
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.transformers = nn.ModuleList(
            Transformer(
                length,
                width,
                num_heads,
                stacked_transformer_layers,
                position_dim,
                attention_dropout,
                net_dropout,
                layer_norm,
                use_residual,
                use_causal_mask,
            )
            for length, width in zip(lengths, widths, strict=True)
        )
        times = lengths if seq_pooling_type == "concat" else [1] * len(lengths)
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        input_dim += sum(width * count for width, count in zip(widths, times, strict=True))
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        pooled = []
        for history, transformer in zip(self.histories, self.transformers, strict=True):
            target, behaviours, real = gather(history, embedded, features)
            real = torch.cat([real, torch.ones_like(real[:, :1])], dim=1)  # (B, L+1); the target item is real
            places = torch.cat([behaviours, target.unsqueeze(1)], dim=1)  # (B, L+1, m)
            pooled.append(pool(transformer(places, real), real, self.seq_pooling_type))
        return {"y_pred": self.output_activation(self.dnn(torch.cat([others, *pooled], dim=-1)))}


def pool(places: Tensor, real: Tensor, how: Pooling) -> Tensor:
    """(B, L+1, m) -> (B, m), or (B, (L+1) m) for ``concat``."""
    if how == "target":
        return places[:, -1]
    places = places * real.unsqueeze(-1)
    if how == "concat":
        return places.flatten(1)
    total = places.sum(dim=1)
    return total if how == "sum" else total / real.sum(dim=1, keepdim=True)


class Transformer(nn.Module):
    """Positions laid beside the places, then blocks; (B, L+1, m) -> (B, L+1, m + position_dim)."""

    def __init__(
        self,
        length: int,
        width: int,
        num_heads: int,
        num_blocks: int,
        position_dim: int,
        attention_dropout: float,
        dropout: float,
        layer_norm: bool,
        use_residual: bool,
        causal: bool,
    ):
        super().__init__()
        if width % num_heads:
            raise ValueError(f"num_heads must divide the width of a place, but num_heads={num_heads}, width {width}")
        self.causal, self.num_heads = causal, num_heads
        self.position_emb = nn.Parameter(sines(length, position_dim)) if position_dim else None
        self.blocks = nn.ModuleList(
            TransformerBlock(width, num_heads, attention_dropout, dropout, layer_norm, use_residual)
            for _ in range(num_blocks)
        )

    def forward(self, places: Tensor, real: Tensor) -> Tensor:
        if self.position_emb is not None:
            places = torch.cat([places, self.position_emb.expand(len(places), -1, -1)], dim=-1)
        hidden = ~real.unsqueeze(1).expand(-1, real.shape[1], -1)  # (B, to, from)
        if self.causal:
            hidden = hidden | torch.ones_like(hidden[0]).triu(1)
        hidden = hidden & ~torch.eye(real.shape[1], dtype=torch.bool, device=real.device)  # padding sees itself
        hidden = hidden.repeat_interleave(self.num_heads, dim=0)
        for block in self.blocks:
            places = block(places, hidden)
        return places


class TransformerBlock(nn.Module):
    def __init__(
        self, width: int, num_heads: int, attention_dropout: float, dropout: float, layer_norm: bool, use_residual: bool
    ):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, num_heads, dropout=attention_dropout, batch_first=True)
        self.ffn = nn.Sequential(nn.Linear(width, width), nn.LeakyReLU(), nn.Linear(width, width))
        self.dropout = nn.Dropout(dropout)
        self.norm_1 = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.norm_2 = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.use_residual = use_residual

    def forward(self, x: Tensor, hidden: Tensor) -> Tensor:
        attended = self.dropout(self.attention(x, x, x, attn_mask=hidden, need_weights=False)[0])
        s = self.norm_1(attended + x if self.use_residual else attended)
        out = self.dropout(self.ffn(s))
        return self.norm_2(out + s if self.use_residual else out)


def sines(length: int, width: int) -> Tensor:
    """The positions' start, (length, width): sine and cosine by turns, of ever longer waves."""
    wave = torch.arange(0, width, 2) / width
    angle = torch.arange(length).unsqueeze(1) / 10_000**wave
    return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width].contiguous()
