"""DHEN: layers that each sum several kinds of interaction of the same tokens."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_one_of, require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs
from .pairs import count_pairs, inner_products
from .stages import Point

InteractionKind = Literal["dot", "dcn", "linear", "attention"]
Joining = Literal["sum", "weighted_sum", "concat"]


class DHEN(CTRModel):
    """DHEN stacks layers; each is an ensemble of different kinds of interactions between its input tokens.

    Paper: DHEN: A Deep and Hierarchical Ensemble Network for Large-Scale Click-Through Rate Prediction, arXiv 2022,
    https://arxiv.org/abs/2203.11014.
    Authors: Buyun Zhang, Liang Luo, Xi Liu, Jay Li, Zeliang Chen, Weilin Zhang, Xiaohan Wei, Yuchen Hao, Michael Tsang,
    Wenjun Wang, Yang Liu, Huayu Li, Yasmine Badr, Jongsoo Park, Jiyan Yang, Dheevatsa Mudigere, Ellie Wen.

        X_{l+1} = LayerNorm( sum_m I_m(X_l) + X_l ),  y = sigmoid( MLP(vec(X_L)) )
        dot:       reshape( MLP( <x_i, x_j> of all pairs i < j ) )
        dcn:       vec(X) * (V U vec(X) + b), back in rows
        linear:    W X
        attention: a layer of a transformer encoder over the rows

    X_0 holds a field embedding in each row. Where the number of rows changes, the shortcut is a learned map of the
    rows, and so are the ends of dcn and attention.

    Data: two or more features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: no code of the authors is published. The paper leaves open which kinds are joined, and their widths; the
    defaults are our reading: dot, dcn and linear, summed, as many tokens as fields, U and V of low rank, and an MLP of
    one hidden layer for the dots. The paper's convolutions are left out.

    Args:
        num_layers: L.
        interactions: the kinds of a layer, each once.
        joining: ``sum``; ``weighted_sum`` by weights of a learned softmax; ``concat`` one after the other.
        layer_tokens: rows that each kind makes, as many as there are fields unless given.
        dot_width: width of the hidden layer of dot's MLP.
        cross_rank: rank of V U.
        num_heads: of the attention, a divisor of ``embedding_dim``.
        dnn_hidden_units, dnn_activations: of the last MLP.
        net_dropout: dropout after each activation of the last MLP, and in the attention.
        batch_norm: BatchNorm before each activation of the last MLP.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DHEN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_layers: int = 2,
        interactions: Sequence[InteractionKind] = ("dot", "dcn", "linear"),
        joining: Joining = "sum",
        layer_tokens: int | None = None,
        dot_width: int = 64,
        cross_rank: int = 16,
        num_heads: int = 1,
        dnn_hidden_units: Sequence[int] = (64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        num_fields = feature_map.num_fields
        count_pairs(num_fields)
        for kind in interactions:
            require_one_of("interactions", kind, InteractionKind)
        if not interactions or len(set(interactions)) < len(interactions):
            raise ValueError(
                f"interactions must name some of {', '.join(get_args(InteractionKind))}, each once, but they are "
                f"{list(interactions)}"
            )
        require_one_of("joining", joining, Joining)
        made = num_fields if layer_tokens is None else layer_tokens
        require_positive(
            num_layers=num_layers, layer_tokens=made, dot_width=dot_width, cross_rank=cross_rank, num_heads=num_heads
        )
        if "attention" in interactions:
            require_multiple(embedding_dim=embedding_dim, num_heads=num_heads)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)

        def interaction(kind: InteractionKind, inputs: int) -> nn.Module:
            if kind == "dot":
                return DotInteraction(inputs, made, embedding_dim, dot_width)
            if kind == "dcn":
                return CrossInteraction(inputs, made, embedding_dim, cross_rank)
            if kind == "linear":
                return TokenMap(inputs, made)
            return AttentionInteraction(inputs, made, embedding_dim, num_heads, net_dropout)

        outputs = made * (len(interactions) if joining == "concat" else 1)
        self.layers = nn.Sequential(
            *(
                EnsembleLayer(
                    [interaction(kind, inputs) for kind in interactions], inputs, outputs, embedding_dim, joining
                )
                for inputs in [num_fields, *[outputs] * (num_layers - 1)]
            )
        )
        self.dnn = mlp_block(outputs * embedding_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        tokens = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        return {"y_pred": self.output_activation(self.dnn(self.layers(tokens).flatten(1)))}

    def stages(self) -> dict[str, Point]:
        """The tokens after each layer, (B, rows, k)."""
        return {f"layer_{depth}": layer for depth, layer in enumerate(self.layers, start=1)}


class EnsembleLayer(nn.Module):
    """LayerNorm( the interactions joined + shortcut ), (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, interactions: Sequence[nn.Module], inputs: int, outputs: int, width: int, joining: Joining):
        super().__init__()
        self.interactions = nn.ModuleList(interactions)
        self.joining = joining
        self.weight_logits = nn.Parameter(torch.zeros(len(interactions))) if joining == "weighted_sum" else None
        self.shortcut = token_map(inputs, outputs)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        found = [interaction(x) for interaction in self.interactions]
        if self.joining == "concat":
            return self.norm(torch.cat(found, dim=1) + self.shortcut(x))
        if self.weight_logits is not None:
            found = [weight * each for weight, each in zip(self.weight_logits.softmax(0), found, strict=True)]
        return self.norm(sum(found, start=self.shortcut(x)))


class TokenMap(nn.Module):
    """W X, (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear.weight @ x


def token_map(inputs: int, outputs: int) -> nn.Module:
    """A map of the rows where their number changes, else the rows as they are."""
    return nn.Identity() if inputs == outputs else TokenMap(inputs, outputs)


class DotInteraction(nn.Module):
    """An MLP of the inner products of all pairs of rows, (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, inputs: int, outputs: int, width: int, hidden: int):
        super().__init__()
        self.width = width
        self.mlp = mlp_block(count_pairs(inputs), [hidden], outputs * width, "ReLU", dropout=0.0, batch_norm=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(inner_products(x)).unflatten(1, (-1, self.width))


class CrossInteraction(nn.Module):
    """vec(X) * (V U vec(X) + b), back in rows and mapped to their new number; (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, inputs: int, outputs: int, width: int, rank: int):
        super().__init__()
        self.down = nn.Linear(inputs * width, rank, bias=False)
        self.up = nn.Linear(rank, inputs * width)
        self.rows = token_map(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        return self.rows((flat * self.up(self.down(flat))).view_as(x))


class AttentionInteraction(nn.Module):
    """A layer of a transformer encoder over the rows, mapped to their new number; (B, inputs, k) -> (B, outputs, k)."""

    def __init__(self, inputs: int, outputs: int, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(width, num_heads, 2 * width, dropout, batch_first=True)
        self.rows = token_map(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(self.encoder(x))
