"""AutoInt: multi-head self-attention between field embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, ScaledDotProductAttention
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_positive

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .stages import Point, deep_layers


class AutoInt(CTRModel):
    """AutoInt lets the field embeddings attend to each other; with an MLP beside it, it is AutoInt+.

    Paper: AutoInt: Automatic Feature Interaction Learning via Self-Attentive Neural Networks, CIKM 2019,
    https://arxiv.org/abs/1810.11921.
    Authors: Weiping Song, Chence Shi, Zhiping Xiao, Zhijian Duan, Yewen Xu, Ming Zhang, Jian Tang.

        E^{l+1} = ReLU( Attention(E^l W_q, E^l W_k, E^l W_v) + E^l W_res ),  y = sigmoid( w vec(E^L) + b [+
        MLP] )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, W_res is left out where it would map a width to itself, and the MLP of
    AutoInt+ is there by default; ``dnn_hidden_units: []`` is the paper's AutoInt.

    Args:
        attention_layers: layers of self-attention.
        num_heads: heads; must divide ``attention_dim``.
        attention_dim: width of all heads together.
        use_residual: the residual around the attention.
        use_scale: scores divided by the square root of a head's width.
        layer_norm: LayerNorm before each ReLU.
        use_wide: a linear part beside the attention.
        dnn_hidden_units: widths of the MLP's hidden layers; empty for none.
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout of the attention weights, and after each activation of the MLP.
    """

    board_settings: ClassVar = {"dnn_hidden_units": []}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "AutoInt",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        attention_layers: int = 2,
        num_heads: int = 1,
        attention_dim: int = 8,
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        layer_norm: bool = False,
        use_scale: bool = False,
        use_wide: bool = False,
        use_residual: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(attention_layers=attention_layers, num_heads=num_heads, attention_dim=attention_dim)
        require_multiple(attention_dim=attention_dim, num_heads=num_heads)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=False) if use_wide else None
        self.dnn = None
        if dnn_hidden_units:
            self.dnn = mlp_block(
                feature_map.sum_emb_out_dim(), dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm
            )
        widths = [embedding_dim] + [attention_dim] * (attention_layers - 1)
        self.self_attention = nn.Sequential(
            *(
                SelfAttention(width, attention_dim, num_heads, net_dropout, use_residual, use_scale, layer_norm)
                for width in widths
            )
        )
        self.fc = nn.Linear(feature_map.num_fields * attention_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        logit = self.fc(self.self_attention(embeddings).flatten(1))
        if self.dnn is not None:
            logit = logit + self.dnn(embeddings.flatten(1))
        if self.lr_layer is not None:
            logit = logit + self.lr_layer(features)
        return {"y_pred": self.output_activation(logit)}

    def stages(self) -> dict[str, Point]:
        """The outputs of the interacting layers, (B, n, attention_dim), then the hidden layers of the MLP."""
        layers = enumerate(self.self_attention, start=1)
        return {f"attention_{depth}": layer for depth, layer in layers} | (deep_layers(self.dnn) if self.dnn else {})


class SelfAttention(nn.Module):
    """One interacting layer, ReLU( [LayerNorm]( Attention(E W_q, E W_k, E W_v) [+ E W_res] ) ).

    (B, n, k) -> (B, n, attention_dim). W_res is the identity where k = attention_dim.
    """

    def __init__(
        self,
        input_dim: int,
        attention_dim: int,
        num_heads: int,
        dropout: float,
        use_residual: bool,
        use_scale: bool,
        layer_norm: bool,
    ):
        super().__init__()
        self.num_heads = num_heads
        self.use_residual = use_residual
        self.scale = (attention_dim // num_heads) ** 0.5 if use_scale else None
        # The names are FuxiCTR's, so that checkpoints of its AutoInt load.
        self.W_q = nn.Linear(input_dim, attention_dim, bias=False)
        self.W_k = nn.Linear(input_dim, attention_dim, bias=False)
        self.W_v = nn.Linear(input_dim, attention_dim, bias=False)
        self.W_res = None
        if use_residual and input_dim != attention_dim:
            self.W_res = nn.Linear(input_dim, attention_dim, bias=False)
        self.dot_attention = ScaledDotProductAttention(dropout)
        self.layer_norm = nn.LayerNorm(attention_dim) if layer_norm else None

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (self._heads(project(x)) for project in (self.W_q, self.W_k, self.W_v))
        attended, _ = self.dot_attention(q, k, v, scale=self.scale)  # (B, heads, n, attention_dim / heads)
        out = attended.transpose(1, 2).flatten(2)  # (B, n, attention_dim)
        if self.use_residual:
            out = out + (x if self.W_res is None else self.W_res(x))
        if self.layer_norm is not None:
            out = self.layer_norm(out)
        return out.relu()

    def _heads(self, x: Tensor) -> Tensor:
        """(B, n, attention_dim) -> (B, heads, n, attention_dim / heads)."""
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
