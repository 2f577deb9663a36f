"""What APG's two models share: an MLP whose weights are generated for every row from a condition.

Paper: APG: Adaptive Parameter Generation Network for Click-Through Rate Prediction, NeurIPS 2022,
https://arxiv.org/abs/2203.16218.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of, require_positive

from .fuxictr_layers import SelectedEmbedding, activation_layers, mlp_block, selected_width

ConditionMode = Literal["self-wise", "group-wise", "mix-wise"]
Sizes = int | Sequence[int] | None  # one for all layers, or one for each; None for none
HYPERNET = {"hidden_units": (), "hidden_activations": "ReLU", "dropout_rates": 0.0}


class Condition(nn.Module):
    """The embeddings of the condition features side by side, from tables of their own or from the model's.

    Args:
        feature_map: FuxiCTR's.
        embedding_dim: k.
        names: the condition features.
        own_tables: whether they have embeddings of their own.

    Raises:
        ValueError: no feature is named, or one that is not there.
    """

    def __init__(self, feature_map: FeatureMap, embedding_dim: int, names: Sequence[str], own_tables: bool):
        super().__init__()
        if not names:
            raise ValueError("a condition that is not the layer's input needs condition_features, but none is named")
        fields = [name for name, spec in feature_map.features.items() if spec["type"] != "meta"]
        for name in names:
            if name not in fields:
                raise ValueError(f"the fields are {', '.join(fields)}, but {name!r} is named")
        self.names = [name for name in fields if name in names]
        self.own = SelectedEmbedding(feature_map, embedding_dim, names) if own_tables else None
        self.width = selected_width(feature_map, embedding_dim, self.names)

    def forward(self, features: Mapping[str, Tensor], embedded: Mapping[str, Tensor]) -> Tensor:
        """The features of a row and their embeddings by name -> (B, width)."""
        if self.own is not None:
            return self.own(features)
        return torch.cat([embedded[name] for name in self.names], dim=-1)


def make_condition(
    feature_map: FeatureMap,
    embedding_dim: int,
    mode: ConditionMode,
    names: Sequence[str] | None,
    own_tables: bool,
) -> Condition | None:
    """The condition of all layers; None where each layer's is its input."""
    require_one_of("condition_mode", mode, ConditionMode)
    return None if mode == "self-wise" else Condition(feature_map, embedding_dim, names or (), own_tables)


class APGMLP(nn.Module):
    """An MLP of generated linear maps, each followed by [BatchNorm], activation and dropout; (B, m) -> (B, last width).

    Args:
        input_dim: m.
        hidden_units, activations, dropout, batch_norm: of the layers.
        condition_dim: the width of the condition of all layers; None where each layer's condition is its input.
        rank_k, overparam_p, generate_bias, hypernet_config: see ``GeneratedLinear``; sizes may differ between layers.
    """

    def __init__(
        self,
        input_dim: int,
        hidden_units: Sequence[int],
        activations: str | Sequence[str],
        dropout: float,
        batch_norm: bool,
        condition_dim: int | None,
        rank_k: Sizes,
        overparam_p: Sizes,
        generate_bias: bool,
        hypernet_config: Mapping[str, Any] | None,
    ):
        super().__init__()
        widths = [input_dim, *hidden_units]
        ranks = size_by_layer("rank_k", rank_k, hidden_units)
        inner_widths = size_by_layer("overparam_p", overparam_p, hidden_units)
        self.generated = nn.ModuleList(
            GeneratedLinear(
                width,
                output,
                width if condition_dim is None else condition_dim,
                rank,
                inner,
                generate_bias,
                hypernet_config,
            )
            for width, output, rank, inner in zip(widths[:-1], hidden_units, ranks, inner_widths, strict=True)
        )
        self.after = nn.ModuleList(
            nn.Sequential(nn.BatchNorm1d(width) if batch_norm else nn.Identity(), activation, nn.Dropout(dropout))
            for width, activation in zip(hidden_units, activation_layers(activations, hidden_units), strict=True)
        )

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        for linear, after in zip(self.generated, self.after, strict=True):
            x = after(linear(x, x if condition is None else condition))
        return x


class GeneratedLinear(nn.Module):
    """x U S(z) V + b(z), U (m, q), S (q, q), V (q, d), for input x (B, m) and condition z (B, c); -> (B, d).

    An MLP of z, the hypernetwork, generates S, and b where it is generated too. U and V are the same for all rows.

    Args:
        input_dim, output_dim: m and d.
        condition_dim: c.
        rank: q, at most m and d; None generates a full (m, d) matrix in place of U S V.
        inner_width: p >= q, U = U_l U_r and V = V_l V_r are products through this width; None for plain U and V.
        generate_bias: whether b depends on z.
        hypernet_config: ``hidden_units``, ``hidden_activations`` and ``dropout_rates`` of the hypernetwork.

    Raises:
        ValueError: sizes that do not fit each other, or an unknown name in ``hypernet_config``.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        condition_dim: int,
        rank: int | None,
        inner_width: int | None,
        generate_bias: bool,
        hypernet_config: Mapping[str, Any] | None,
    ):
        super().__init__()
        config = {**HYPERNET, **(hypernet_config or {})}
        if config.keys() != HYPERNET.keys():
            raise ValueError(f"hypernet_config has the names {', '.join(HYPERNET)}, but it is {hypernet_config}")
        self.output_dim, self.rank = output_dim, rank
        self.left = self.right = None
        if rank is not None:
            require_positive(rank_k=rank)
            if rank > min(input_dim, output_dim):
                raise ValueError(
                    f"rank_k must be at most the layer's widths, but rank_k={rank} and the layer is "
                    f"{input_dim} -> {output_dim}"
                )
            if inner_width is not None and inner_width < rank:
                raise ValueError(f"overparam_p must be at least rank_k, but overparam_p={inner_width}, rank_k={rank}")
            self.left = factors(input_dim, inner_width, rank)
            self.right = factors(rank, inner_width, output_dim)
        matrix = input_dim * output_dim if rank is None else rank**2
        self.bias = None if generate_bias else nn.Parameter(torch.zeros(output_dim))
        self.hypernet = mlp_block(
            condition_dim,
            config["hidden_units"],
            matrix + output_dim * generate_bias,
            config["hidden_activations"],
            config["dropout_rates"],
            batch_norm=False,
        )

    def init_weights(self) -> None:
        """Starts U and V like the weights of a linear map; FuxiCTR calls it."""
        for weight in [*(self.left or ()), *(self.right or ())]:
            nn.init.xavier_normal_(weight)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        generated = self.hypernet(condition)
        bias = self.bias
        if bias is None:
            bias, generated = generated[:, : self.output_dim], generated[:, self.output_dim :]
        if self.left is None or self.right is None:
            return times(x, generated) + bias
        return times(x @ product(self.left), generated) @ product(self.right) + bias


def factors(inputs: int, inner_width: int | None, outputs: int) -> nn.ParameterList:
    """A matrix (inputs, outputs), or two whose product it is."""
    widths = [inputs, outputs] if inner_width is None else [inputs, inner_width, outputs]
    return nn.ParameterList(torch.empty(*shape) for shape in pairwise(widths))


def product(matrices: nn.ParameterList) -> Tensor:
    return matrices[0] if len(matrices) == 1 else matrices[0] @ matrices[1]


def times(x: Tensor, matrices: Tensor) -> Tensor:
    """Each row by a matrix of its own: x (B, m), matrices (B, m d) -> (B, d)."""
    return (x.unsqueeze(1) @ matrices.unflatten(1, (x.shape[1], -1))).squeeze(1)


def size_by_layer(name: str, sizes: Sizes, hidden_units: Sequence[int]) -> list[int | None]:
    """One size for each layer."""
    if sizes is None or isinstance(sizes, int):
        return [sizes] * len(hidden_units)
    if len(sizes) != len(hidden_units):
        raise ValueError(f"{name} must have one number for each of the {len(hidden_units)} layers, but it is {sizes}")
    return list(sizes)
