"""FinalMLP: two MLPs over differently gated embeddings, fused by a bilinear form."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import nearest_multiple, require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block, start_tables


class FinalMLP(CTRModel):
    """FinalMLP feeds two MLPs with differently gated embeddings, and joins their outputs by a bilinear product.

    Paper: FinalMLP: An Enhanced Two-Stream MLP Model for CTR Prediction, AAAI 2023,
    https://arxiv.org/abs/2304.00902.
    Authors: Kelong Mao, Jieming Zhu, Liangcai Su, Guohao Cai, Yuru Li, Zhenhua Dong.

        o_s = MLP_s( 2 sigmoid(gate_s(context_s)) * [e_1; ...; e_n] ),  s = 1, 2
        y = sigmoid( b + w_1 o_1 + w_2 o_2 + sum_heads o_1h^T W_h o_2h )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: none. FuxiCTR itself starts the embedding of a shared sequence in a context at random; see
    ``ContextEmbedding``.

    Args:
        mlp1_hidden_units, mlp2_hidden_units: widths of the hidden layers of the two MLPs.
        mlp1_hidden_activations, mlp2_hidden_activations: one name for all hidden layers, or one for each.
        mlp1_batch_norm, mlp2_batch_norm: BatchNorm before each activation.
        mlp1_dropout, mlp2_dropout: dropout after each activation.
        use_fs: the gates; settings of a gate that is left out have no effect, as in FuxiCTR.
        fs_hidden_units: widths of the hidden layers of the gates.
        fs1_context, fs2_context: names of the features whose embeddings, learned apart, drive a gate; empty
            for a learned vector, the same for all rows.
        num_heads: blocks of the bilinear form; must divide the last widths of both MLPs.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FinalMLP",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        mlp1_hidden_units: Sequence[int] = (64, 64, 64),
        mlp1_hidden_activations: str | Sequence[str] = "ReLU",
        mlp1_dropout: float = 0.0,
        mlp1_batch_norm: bool = False,
        mlp2_hidden_units: Sequence[int] = (64, 64, 64),
        mlp2_hidden_activations: str | Sequence[str] = "ReLU",
        mlp2_dropout: float = 0.0,
        mlp2_batch_norm: bool = False,
        use_fs: bool = True,
        fs_hidden_units: Sequence[int] = (64,),
        fs1_context: Sequence[str] = (),
        fs2_context: Sequence[str] = (),
        num_heads: int = 1,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_heads=num_heads)
        for name, widths in (("mlp1_hidden_units", mlp1_hidden_units), ("mlp2_hidden_units", mlp2_hidden_units)):
            if not widths:
                raise ValueError(f"each of the two MLPs needs a hidden layer, but {name} is empty")
            if widths[-1] % num_heads:
                raise ValueError(
                    f"the last width in {name} must be a multiple of num_heads, but it is {widths[-1]} and "
                    f"num_heads={num_heads}; the nearest that fits is {nearest_multiple(widths[-1], num_heads)}"
                )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        width = feature_map.num_fields * embedding_dim
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.mlp1 = mlp_block(width, mlp1_hidden_units, None, mlp1_hidden_activations, mlp1_dropout, mlp1_batch_norm)
        self.mlp2 = mlp_block(width, mlp2_hidden_units, None, mlp2_hidden_activations, mlp2_dropout, mlp2_batch_norm)
        self.use_fs = use_fs
        if use_fs:
            self.gate1 = FeatureGate(feature_map, width, embedding_dim, fs_hidden_units, fs1_context)
            self.gate2 = FeatureGate(feature_map, width, embedding_dim, fs_hidden_units, fs2_context)
        self.fusion_module = BilinearFusion(mlp1_hidden_units[-1], mlp2_hidden_units[-1], num_heads)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        x1 = x2 = self.embedding_layer(features).flatten(1)  # (B, nk)
        if self.use_fs:
            x1, x2 = x1 * self.gate1(features), x2 * self.gate2(features)
        logit = self.fusion_module(self.mlp1(x1), self.mlp2(x2))
        return {"y_pred": self.output_activation(logit)}


class FeatureGate(nn.Module):
    """2 sigmoid(MLP(context)), one factor for every value of the embeddings; features -> (B or 1, nk)."""

    def __init__(
        self,
        feature_map: FeatureMap,
        width: int,
        embedding_dim: int,
        hidden_units: Sequence[int],
        context: Sequence[str],
    ):
        fields = [name for name, spec in feature_map.features.items() if spec["type"] != "meta"]
        unknown = [name for name in context if name not in fields]
        if unknown:
            raise ValueError(f"the context of a gate must name features of the dataset, {fields}, but has {unknown}")
        super().__init__()
        self.ctx_emb = self.ctx_bias = None
        if context:
            self.ctx_emb = ContextEmbedding(feature_map, embedding_dim, required_feature_columns=list(context))
        else:
            self.ctx_bias = nn.Parameter(torch.zeros(1, embedding_dim))
        input_dim = max(1, len(context)) * embedding_dim
        self.mlp = mlp_block(input_dim, hidden_units, width, "ReLU", dropout=0.0, batch_norm=False)

    def forward(self, features: Mapping[str, Tensor]) -> Tensor:
        context = self.ctx_bias if self.ctx_emb is None else self.ctx_emb(features).flatten(1)
        return 2 * self.mlp(context).sigmoid()


class ContextEmbedding(FeatureEmbedding):
    """FuxiCTR's embeddings of some of the features, with each of its tables initialised.

    FuxiCTR leaves the table of a feature with ``share_embedding`` as torch made it, N(0, 1), even where the
    feature that it shares with is not among those asked for.
    """

    def init_weights(self) -> None:
        """Starts all tables alike, at FuxiCTR's N(0, 1e-4) with zero for padding; FuxiCTR calls it last."""
        start_tables(self)


class BilinearFusion(nn.Module):
    """w_x x + w_y y + b + sum_h x_h^T W_h y_h, x and y cut in heads; (B, p), (B, q) -> (B, 1)."""

    def __init__(self, x_dim: int, y_dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.w_x = nn.Linear(x_dim, 1)
        self.w_y = nn.Linear(y_dim, 1)
        # The shape is FuxiCTR's, so that the weights start alike.
        self.w_xy = nn.Parameter(torch.empty(x_dim * y_dim // num_heads, 1))
        nn.init.xavier_normal_(self.w_xy)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        heads_x = x.unflatten(1, (self.num_heads, -1))  # (B, heads, p / heads)
        heads_y = y.unflatten(1, (self.num_heads, -1))  # (B, heads, q / heads)
        weight = self.w_xy.view(self.num_heads, heads_x.shape[-1], heads_y.shape[-1])
        bilinear = torch.einsum("bhi,hij,bhj->b", heads_x, weight, heads_y)
        return self.w_x(x) + self.w_y(y) + bilinear.unsqueeze(1)
