"""MaskNet: hidden layers multiplied by masks computed from the embeddings, in a row or side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import activation_layers, mlp_block


class MaskNet(CTRModel):
    """MaskNet multiplies what enters a hidden layer by a mask that a small MLP makes from the embeddings.

    Paper: MaskNet: Introducing Feature-Wise Multiplication to CTR Ranking Models by Instance-Guided Mask,
    DLP-KDD 2021, https://arxiv.org/abs/2102.07619.
    Authors: Zhiqiang Wang, Qingyun She, Junlin Zhang.

        mask(E) = W2 ReLU(W1 vec(E) + b1) + b2,  block(E, h) = ReLU( LayerNorm( W (mask(E) * h) ) )
        h_0 = [LayerNorm_1(e_1); ...; LayerNorm_n(e_n)]
        serial:   h_l = block_l(E, h_{l-1}),  y = sigmoid( w h_L + b )
        parallel: y = sigmoid( MLP([block_1(E, h_0); ...; block_u(E, h_0)]) )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: none.

    Args:
        model_type: blocks in a row or side by side.
        dnn_hidden_units: in the serial form the widths of the blocks, in the parallel one those of the MLP.
        dnn_hidden_activations: one name for all hidden layers, or one for each; the parallel blocks take the
            first.
        parallel_num_blocks, parallel_block_dim: number and width of the parallel blocks; no effect in the
            serial form.
        reduction_ratio: the mask's hidden layer is so many times as wide as the mask.
        emb_layernorm, net_layernorm: LayerNorm of each field's embedding, and in each block.
        net_dropout: dropout after each activation.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "MaskNet",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_hidden_activations: str | Sequence[str] = "ReLU",
        model_type: Literal["SerialMaskNet", "ParallelMaskNet"] = "SerialMaskNet",
        parallel_num_blocks: int = 1,
        parallel_block_dim: int = 64,
        reduction_ratio: float = 1.0,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        net_dropout: float = 0.0,
        emb_layernorm: bool = True,
        net_layernorm: bool = True,
        **kwargs: Any,
    ):
        require_positive(parallel_num_blocks=parallel_num_blocks, parallel_block_dim=parallel_block_dim)
        if model_type == "SerialMaskNet" and not dnn_hidden_units:
            raise ValueError("model_type='SerialMaskNet' needs at least one block, but dnn_hidden_units is empty")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        input_dim = num_fields * embedding_dim
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.emb_norm = None
        if emb_layernorm:
            self.emb_norm = nn.ModuleList(nn.LayerNorm(embedding_dim) for _ in range(num_fields))
        common: dict[str, Any] = {
            "reduction_ratio": reduction_ratio,
            "dropout": net_dropout,
            "layer_norm": net_layernorm,
        }
        if model_type == "SerialMaskNet":
            self.mask_net: nn.Module = SerialMaskNet(input_dim, dnn_hidden_units, dnn_hidden_activations, **common)
        else:
            self.mask_net = ParallelMaskNet(
                input_dim, parallel_num_blocks, parallel_block_dim, dnn_hidden_units, dnn_hidden_activations, **common
            )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        hidden = embeddings
        if self.emb_norm is not None:
            fields = zip(self.emb_norm, embeddings.unbind(1), strict=True)
            hidden = torch.stack([norm(field) for norm, field in fields], dim=1)  # (B, n, k)
        logit = self.mask_net(embeddings.flatten(1), hidden.flatten(1))
        return {"y_pred": self.output_activation(logit)}


class SerialMaskNet(nn.Module):
    """Blocks in a row, all masked by the same embeddings, then one linear map; (B, m), (B, m) -> (B, 1)."""

    def __init__(
        self,
        input_dim: int,
        hidden_units: Sequence[int],
        activations: str | Sequence[str],
        reduction_ratio: float,
        dropout: float,
        layer_norm: bool,
    ):
        super().__init__()
        widths = [input_dim, *hidden_units]
        self.mask_blocks = nn.ModuleList(
            MaskBlock(input_dim, width, output, activation, reduction_ratio, dropout, layer_norm)
            for width, output, activation in zip(
                widths[:-1], hidden_units, activation_layers(activations, hidden_units), strict=True
            )
        )
        self.fc = nn.Sequential(nn.Linear(widths[-1], 1))

    def forward(self, embeddings: Tensor, hidden: Tensor) -> Tensor:
        for block in self.mask_blocks:
            hidden = block(embeddings, hidden)
        return self.fc(hidden)


class ParallelMaskNet(nn.Module):
    """Blocks side by side over the same input, then an MLP over all of them; (B, m), (B, m) -> (B, 1)."""

    def __init__(
        self,
        input_dim: int,
        num_blocks: int,
        block_dim: int,
        hidden_units: Sequence[int],
        activations: str | Sequence[str],
        reduction_ratio: float,
        dropout: float,
        layer_norm: bool,
    ):
        super().__init__()
        first = activations if isinstance(activations, str) else activations[0]
        self.mask_blocks = nn.ModuleList(
            MaskBlock(input_dim, input_dim, block_dim, activation, reduction_ratio, dropout, layer_norm)
            for activation in activation_layers(first, [block_dim] * num_blocks)
        )
        self.dnn = mlp_block(num_blocks * block_dim, hidden_units, 1, activations, dropout, batch_norm=False)

    def forward(self, embeddings: Tensor, hidden: Tensor) -> Tensor:
        return self.dnn(torch.cat([block(embeddings, hidden) for block in self.mask_blocks], dim=-1))


class MaskBlock(nn.Module):
    """activation( LayerNorm( W (mask(E) * h) ) ): embeddings (B, m), hidden (B, width) -> (B, output_dim)."""

    def __init__(
        self,
        input_dim: int,
        width: int,
        output_dim: int,
        activation: nn.Module,
        reduction_ratio: float,
        dropout: float,
        layer_norm: bool,
    ):
        aggregation = int(width * reduction_ratio)
        if aggregation < 1:
            raise ValueError(
                "reduction_ratio must leave the hidden layer of a mask at least 1 wide, but "
                f"reduction_ratio={reduction_ratio} and the mask is {width} wide"
            )
        super().__init__()
        self.mask_layer = nn.Sequential(nn.Linear(input_dim, aggregation), nn.ReLU(), nn.Linear(aggregation, width))
        layers: list[nn.Module] = [nn.Linear(width, output_dim, bias=False)]
        if layer_norm:
            layers.append(nn.LayerNorm(output_dim))
        layers.append(activation)
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        self.hidden_layer = nn.Sequential(*layers)

    def forward(self, embeddings: Tensor, hidden: Tensor) -> Tensor:
        return self.hidden_layer(self.mask_layer(embeddings) * hidden)
