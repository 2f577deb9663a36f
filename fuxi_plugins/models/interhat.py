"""InterHAt: a transformer layer over the fields, then attention that raises the order step by step."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, ScaledDotProductAttention
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .attention_heads import HeadSplit, merge_heads, split_heads
from .base import CTRModel
from .fuxictr_layers import mlp_block


class InterHAt(CTRModel):
    """InterHAt pools the fields by attention once for each order of interaction, then the orders by attention too.

    Paper: Interpretable Click-Through Rate Prediction through Hierarchical Attention, WSDM 2020,
    https://doi.org/10.1145/3336191.3371785.
    Authors: Zeyu Li, Wei Cheng, Yang Chen, Haifeng Chen, Wei Wang.

        X_1 = transformer(E),  u_p = agg_p(X_p),  X_{p+1} = u_p * X_1 + X_p,  p = 1 ... order
        y = sigmoid( MLP( agg(u_1, ..., u_order) ) ),  agg(X) = sum_i softmax_i( c ReLU(W x_i + b) ) x_i

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: FuxiCTR cuts the heads through memory, so that each holds some of the fields and misses the
    others; here they are cut rightly, and ``head_split: fuxictr`` is its way. The two are one with a single
    head. The transformer layer is FuxiCTR's, with a ReLU after the attention.

    Args:
        order: the highest order of interaction; one order leaves the last attention without a choice.
        num_heads, attention_dim: heads of the transformer layer, and the width of each.
        head_split: ``by_vector`` each head a part of every field's vector, or ``fuxictr``.
        hidden_dim: width inside the feed-forward network and the attention agg; 4 ``embedding_dim`` unless given.
        use_residual, layer_norm: around the attention and the feed-forward network of the transformer layer.
        hidden_units: widths of the MLP's hidden layers.
        hidden_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout of the attention weights, of the attention's output, and after each activation of
            the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "InterHAt",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        hidden_dim: int | None = None,
        order: int = 2,
        num_heads: int = 1,
        attention_dim: int = 10,
        head_split: HeadSplit = "by_vector",
        hidden_units: Sequence[int] = (64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        batch_norm: bool = False,
        layer_norm: bool = True,
        use_residual: bool = True,
        net_dropout: float = 0.0,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        hidden_dim = 4 * embedding_dim if hidden_dim is None else hidden_dim
        require_positive(order=order, num_heads=num_heads, attention_dim=attention_dim, hidden_dim=hidden_dim)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.multi_head_attention = MultiHeadSelfAttention(
            embedding_dim, attention_dim, num_heads, head_split, net_dropout, use_residual, layer_norm
        )
        self.feedforward = FeedForward(embedding_dim, hidden_dim, use_residual, layer_norm)
        self.aggregation_layers = nn.ModuleList(AttentionalAggregation(embedding_dim, hidden_dim) for _ in range(order))
        self.attentional_score = AttentionalAggregation(embedding_dim, hidden_dim)
        self.mlp = mlp_block(embedding_dim, hidden_units, 1, hidden_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        x_1 = x = self.feedforward(self.multi_head_attention(embeddings))  # (B, n, k)
        pooled = []
        for aggregate in self.aggregation_layers:
            u = aggregate(x)  # (B, k)
            x = u.unsqueeze(1) * x_1 + x
            pooled.append(u)
        logit = self.mlp(self.attentional_score(torch.stack(pooled, dim=1)))
        return {"y_pred": self.output_activation(logit)}


class MultiHeadSelfAttention(nn.Module):
    """[LayerNorm]( ReLU( Attention(X W_q, X W_k, X W_v) W_res ) [+ X] ), (B, n, k) -> (B, n, k).

    W_res, which maps the heads back to k, is left out where they are that wide.
    """

    def __init__(
        self,
        input_dim: int,
        head_dim: int,
        num_heads: int,
        head_split: HeadSplit,
        dropout: float,
        use_residual: bool,
        layer_norm: bool,
    ):
        super().__init__()
        width = num_heads * head_dim
        self.num_heads = num_heads
        self.head_split = head_split
        self.use_residual = use_residual
        self.scale = head_dim**0.5
        self.W_q = nn.Linear(input_dim, width, bias=False)
        self.W_k = nn.Linear(input_dim, width, bias=False)
        self.W_v = nn.Linear(input_dim, width, bias=False)
        self.W_res = nn.Linear(width, input_dim, bias=False) if width != input_dim else nn.Identity()
        self.dot_product_attention = ScaledDotProductAttention(dropout)
        self.dropout = nn.Dropout(dropout)
        self.layer_norm = nn.LayerNorm(input_dim) if layer_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (
            split_heads(project(x), self.num_heads, self.head_split) for project in (self.W_q, self.W_k, self.W_v)
        )
        attended, _ = self.dot_product_attention(q, k, v, scale=self.scale)  # (B, heads, n, head_dim)
        out = self.dropout(self.W_res(merge_heads(attended, self.head_split)).relu())
        return self.layer_norm(out + x if self.use_residual else out)


class FeedForward(nn.Module):
    """[LayerNorm]( W2 ReLU(W1 x + b1) + b2 [+ x] ) of every field, (B, n, k) -> (B, n, k)."""

    def __init__(self, input_dim: int, hidden_dim: int, use_residual: bool, layer_norm: bool):
        super().__init__()
        self.use_residual = use_residual
        self.ffn = nn.Sequential(nn.Linear(input_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, input_dim))
        self.layer_norm = nn.LayerNorm(input_dim) if layer_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        out = self.ffn(x)
        return self.layer_norm(out + x if self.use_residual else out)


class AttentionalAggregation(nn.Module):
    """sum_i softmax_i( c ReLU(W x_i + b) ) x_i, (B, m, k) -> (B, k)."""

    def __init__(self, embedding_dim: int, hidden_dim: int):
        super().__init__()
        self.agg = nn.Sequential(
            nn.Linear(embedding_dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, 1, bias=False), nn.Softmax(dim=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.agg(x) * x).sum(dim=1)
