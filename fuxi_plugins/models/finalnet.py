"""FinalNet: MLP layers with a product inside, in one block or in two that learn from their mean."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import activation_layers

ResidualType = Literal["concat", "sum"]


class FinalNet(CTRModel):
    """FinalNet replaces the layers of an MLP by factorized interactions, which double the degree with each layer.

    Paper: FINAL: Factorized Interaction Layer for CTR Prediction, SIGIR 2023,
    https://doi.org/10.1145/3539618.3591988.
    Authors: Jieming Zhu, Qinglin Jia, Guohao Cai, Quanyu Dai, Jingjie Li, Zhenhua Dong, Ruiming Tang, Rui Zhang.

        concat: x_{l+1} = act( BatchNorm( [a_l; a_l * c_l] ) ),  sum: x_{l+1} = act( BatchNorm( a_l + a_l * c_l ) )
        a_l = A_l x_l + b_l,  c_l = C_l x_l + d_l
        one block: y = sigmoid( z_1 ),  two blocks: y = sigmoid( (z_1 + z_2) / 2 )

    The loss of two blocks is that of y, and for each block the loss of sigmoid(z_s) towards y, held fixed.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the activation comes after the whole layer, where the paper's is on the factor
    c_l, and ``concat`` is the default, where the paper sums.

    Args:
        block_type: ``1B`` one block, ``2B`` two.
        batch_norm: BatchNorm in each layer.
        use_feature_gating: the first block sees [E; E * (W E + b)], W over the fields, starting at [E; E].
        block1_hidden_units, block2_hidden_units: widths of the layers of the blocks; the settings of a second
            block that is left out have no effect, as in FuxiCTR.
        block1_hidden_activations, block2_hidden_activations: one name for all layers, one for each, or none.
        block1_dropout, block2_dropout: dropout at the end of each layer.
        residual_type: ``concat`` or ``sum``, see above; ``concat`` needs even widths.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FinalNet",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        block_type: Literal["1B", "2B"] = "2B",
        batch_norm: bool = True,
        use_feature_gating: bool = False,
        block1_hidden_units: Sequence[int] = (64, 64, 64),
        block1_hidden_activations: str | Sequence[str] | None = None,
        block1_dropout: float = 0.0,
        block2_hidden_units: Sequence[int] = (64, 64, 64),
        block2_hidden_activations: str | Sequence[str] | None = None,
        block2_dropout: float = 0.0,
        residual_type: ResidualType = "concat",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        check_widths("block1_hidden_units", block1_hidden_units, residual_type)
        if block_type == "2B":
            check_widths("block2_hidden_units", block2_hidden_units, residual_type)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        width = feature_map.num_fields * embedding_dim
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.feature_gating = FeatureGating(feature_map.num_fields) if use_feature_gating else None
        self.block1 = FinalBlock(
            2 * width if use_feature_gating else width,
            block1_hidden_units,
            block1_hidden_activations,
            block1_dropout,
            batch_norm,
            residual_type,
        )
        self.fc1 = nn.Linear(block1_hidden_units[-1], 1)
        self.has_two_blocks = block_type == "2B"
        if self.has_two_blocks:
            self.block2 = FinalBlock(
                width, block2_hidden_units, block2_hidden_activations, block2_dropout, batch_norm, residual_type
            )
            self.fc2 = nn.Linear(block2_hidden_units[-1], 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        gated = embeddings if self.feature_gating is None else self.feature_gating(embeddings)
        logit1 = self.fc1(self.block1(gated.flatten(1)))
        if not self.has_two_blocks:
            return {"y_pred": self.output_activation(logit1)}
        logit2 = self.fc2(self.block2(embeddings.flatten(1)))
        return {"y_pred": self.output_activation(0.5 * (logit1 + logit2)), "y1": logit1, "y2": logit2}

    def add_loss(self, return_dict: Mapping[str, Tensor], y_true: Tensor) -> Tensor:
        """The loss of the prediction, and of each of two blocks towards it; ``compute_loss`` calls it."""
        loss = super().add_loss(return_dict, y_true)
        if self.has_two_blocks:
            teacher = return_dict["y_pred"].detach()
            for logit in (return_dict["y1"], return_dict["y2"]):
                loss = loss + self.loss_fn(self.output_activation(logit), teacher, reduction="mean")
        return loss


def check_widths(name: str, widths: Sequence[int], residual_type: ResidualType) -> None:
    """A block needs a layer, and where a layer concatenates two halves an even width."""
    if not widths:
        raise ValueError(f"a block needs at least one layer, but {name} is empty")
    if residual_type == "concat" and any(width % 2 for width in widths):
        raise ValueError(f"residual_type='concat' needs even widths, but {name}={list(widths)}")


class FeatureGating(nn.Module):
    """[E; E * (W E + b)], W (n, n) over the fields; (B, n, k) -> (B, 2n, k)."""

    def __init__(self, num_fields: int):
        super().__init__()
        self.linear = nn.Linear(num_fields, num_fields)

    def init_weights(self) -> None:
        """Starts every gate at 1; FuxiCTR calls it after resetting its own layers."""
        nn.init.zeros_(self.linear.weight)
        nn.init.ones_(self.linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.linear(x.transpose(1, 2)).transpose(1, 2)  # (B, n, k)
        return torch.cat([x, x * gates], dim=1)


class FinalBlock(nn.Module):
    """Factorized interaction, [BatchNorm], activation and [dropout], layer after layer; (B, m) -> (B, last width)."""

    def __init__(
        self,
        input_dim: int,
        hidden_units: Sequence[int],
        activations: str | Sequence[str] | None,
        dropout: float,
        batch_norm: bool,
        residual_type: ResidualType,
    ):
        super().__init__()
        widths = [input_dim, *hidden_units]
        # The names are FuxiCTR's, so that checkpoints of its FinalNet load.
        self.layer = nn.ModuleList(
            FactorizedInteraction(width, output, residual_type)
            for width, output in zip(widths[:-1], hidden_units, strict=True)
        )
        self.norm = nn.ModuleList(nn.BatchNorm1d(width) if batch_norm else nn.Identity() for width in hidden_units)
        self.activation = nn.ModuleList(activation_layers(activations, hidden_units))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        for layer, norm, activation in zip(self.layer, self.norm, self.activation, strict=True):
            x = self.dropout(activation(norm(layer(x))))
        return x


class FactorizedInteraction(nn.Module):
    """concat [a; a * c], or sum a + a * c, of two linear maps a and c of x; (B, input_dim) -> (B, output_dim)."""

    def __init__(self, input_dim: int, output_dim: int, residual_type: ResidualType):
        super().__init__()
        self.residual_type = residual_type
        self.linear = nn.Linear(input_dim, 2 * output_dim if residual_type == "sum" else output_dim)

    def forward(self, x: Tensor) -> Tensor:
        a, c = self.linear(x).chunk(2, dim=-1)
        return a + a * c if self.residual_type == "sum" else torch.cat([a, a * c], dim=-1)
