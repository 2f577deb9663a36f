"""DESTINE: self-attention in two terms, one of pairs of fields and one of each field alone."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_positive

from .attention_heads import HeadSplit, merge_heads, split_heads
from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block


class DESTINE(CTRModel):
    """DESTINE adds two attentions: one for each pair of fields, and one for what a field means to all others.

    Paper: Disentangled Self-Attentive Neural Networks for Click-Through Rate Prediction, CIKM 2021,
    https://arxiv.org/abs/2101.03654.

        a_ij = softmax_j( <q_i - mean(q), k_j - mean(k)> ) + softmax_j( u e_j )
        e_i <- sum_j a_ij v_j + W_res e_i, in heads;  y = sigmoid( w vec(E^L) + b + LR(x) [+ MLP] )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: FuxiCTR cuts the heads through memory, so that each holds some of the fields and misses the
    others; here they are cut rightly, and ``head_split: fuxictr`` is its way. The two are one with a single
    head. Biases without any effect, those of u and, with heads cut rightly and no ReLU after, of q and k, are
    left out.

    Args:
        attention_layers: layers of self-attention.
        num_heads: heads; must divide ``attention_dim``.
        attention_dim: width of all heads together.
        head_split: ``by_vector`` each head a part of every field's vector, or ``fuxictr``.
        use_scale: the scores of pairs divided by the square root of a head's width.
        relu_before_att: ReLU of q, k and v.
        residual_mode: W_res in each layer, once from the embeddings to the last layer, or nowhere.
        use_wide: the linear part LR.
        dnn_hidden_units: widths of the hidden layers of an MLP beside it; empty for none.
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        att_dropout: dropout of the attention weights.
        net_dropout: dropout after each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DESTINE",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        attention_dim: int = 16,
        num_heads: int = 2,
        head_split: HeadSplit = "by_vector",
        attention_layers: int = 2,
        dnn_hidden_units: Sequence[int] = (),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.1,
        att_dropout: float = 0.1,
        relu_before_att: bool = False,
        batch_norm: bool = False,
        use_scale: bool = False,
        use_wide: bool = True,
        residual_mode: Literal["each_layer", "last_layer"] | None = "each_layer",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(attention_layers=attention_layers, num_heads=num_heads, attention_dim=attention_dim)
        require_multiple(attention_dim=attention_dim, num_heads=num_heads)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr = LinearPart(feature_map, use_bias=True) if use_wide else None
        self.dnn = None
        if dnn_hidden_units:
            self.dnn = mlp_block(
                feature_map.num_fields * embedding_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm
            )
        widths = [embedding_dim] + [attention_dim] * (attention_layers - 1)
        self.self_attns = nn.Sequential(
            *(
                DisentangledSelfAttention(
                    width,
                    attention_dim,
                    num_heads,
                    head_split,
                    att_dropout,
                    use_residual=residual_mode == "each_layer",
                    use_scale=use_scale,
                    relu_before_att=relu_before_att,
                )
                for width in widths
            )
        )
        self.W_res = nn.Linear(embedding_dim, attention_dim) if residual_mode == "last_layer" else None
        self.attn_fc = nn.Linear(feature_map.num_fields * attention_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        attended = self.self_attns(embeddings)  # (B, n, attention_dim)
        if self.W_res is not None:
            attended = attended + self.W_res(embeddings)
        logit = self.attn_fc(attended.flatten(1))
        if self.lr is not None:
            logit = logit + self.lr(features)
        if self.dnn is not None:
            logit = logit + self.dnn(embeddings.flatten(1))
        return {"y_pred": self.output_activation(logit)}


class DisentangledSelfAttention(nn.Module):
    """One layer, ( softmax(whitened pairs) + softmax(each field alone) ) V [+ X W_res].

    (B, n, k) -> (B, n, attention_dim).
    """

    def __init__(
        self,
        input_dim: int,
        attention_dim: int,
        num_heads: int,
        head_split: HeadSplit,
        dropout: float,
        use_residual: bool,
        use_scale: bool,
        relu_before_att: bool,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.head_split = head_split
        self.scale = (attention_dim // num_heads) ** 0.5 if use_scale else 1.0
        self.relu_before_att = relu_before_att
        # A constant added to all queries or keys of a head goes with the mean, one added to its scores in the softmax.
        matters = relu_before_att or head_split == "fuxictr"
        self.W_q = nn.Linear(input_dim, attention_dim, bias=matters)
        self.W_k = nn.Linear(input_dim, attention_dim, bias=matters)
        self.W_v = nn.Linear(input_dim, attention_dim)
        self.W_unary = nn.Linear(input_dim, num_heads, bias=False)
        self.W_res = nn.Linear(input_dim, attention_dim) if use_residual else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.W_q(x), self.W_k(x), self.W_v(x)
        if self.relu_before_att:
            q, k, v = q.relu(), k.relu(), v.relu()
        q, k, v = (split_heads(part, self.num_heads, self.head_split) for part in (q, k, v))  # (B, heads, n, d)
        # <q_i - mean(q), k_j - mean(k)> is <q_i, k_j> less its mean over i, and less what is one for all j, which the
        # softmax does not see: so the scores are centred, far fewer than the entries of q and k.
        scores = q @ k.transpose(-1, -2) / self.scale  # (B, heads, n, n)
        pairs = (scores - scores.mean(dim=2, keepdim=True)).softmax(dim=-1)
        unary = split_heads(self.W_unary(x).softmax(dim=1), self.num_heads, self.head_split)  # (B, heads, n, 1)
        weights = self.dropout(pairs + unary.transpose(-1, -2))
        out = merge_heads(weights @ v, self.head_split)
        return out if self.W_res is None else out + self.W_res(x)
