"""GDCN: a cross network whose layers are gated, with an MLP after or beside it."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class GDCN(CTRModel):
    """GDCN lets a gate decide how much of each cross of the flat embeddings with themselves is added.

    Paper: Towards Deeper, Lighter and Interpretable Cross Network for CTR Prediction, CIKM 2023,
    https://arxiv.org/abs/2311.04635.
    Authors: Fangye Wang, Hansu Gu, Dongsheng Li, Tun Lu, Peng Zhang, Ning Gu.

        x_0 = [e_1; ...; e_n],  x_{l+1} = x_0 * (W_l x_l + b_l) * sigmoid(G_l x_l) + x_l
        GDCN-S: y = sigmoid( MLP(cross) ),  GDCN-P: y = sigmoid( w [cross; MLP(x_0)] + b )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the field-level choice of embedding widths is not here. As in FuxiCTR, b_l starts uniform in
    [0, 1). FuxiCTR has the two forms as the classes GDCN and GDCNP.

    Args:
        model_structure: ``stacked`` is GDCN-S, ``parallel`` GDCN-P.
        num_cross_layers: layers of the cross network.
        dnn_hidden_units: widths of the MLP's hidden layers; empty, with ``stacked``, for one linear map.
        dnn_activations: one name for all hidden layers, or one for each.
        batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "GDCN",
        gpu: int = -1,
        model_structure: Literal["stacked", "parallel"] = "stacked",
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        num_cross_layers: int = 3,
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_cross_layers=num_cross_layers)
        parallel = model_structure == "parallel"
        if parallel and not dnn_hidden_units:
            raise ValueError("model_structure='parallel' needs an MLP, but dnn_hidden_units is empty")
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        input_dim = feature_map.sum_emb_out_dim()
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.cross_net = GatedCrossNet(input_dim, num_cross_layers)
        output_dim = None if parallel else 1
        self.dnn = mlp_block(input_dim, dnn_hidden_units, output_dim, dnn_activations, net_dropout, batch_norm)
        self.fc = nn.Linear(input_dim + dnn_hidden_units[-1], 1) if parallel else None
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        x_0 = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        cross = self.cross_net(x_0)  # (B, nk)
        logit = self.dnn(cross) if self.fc is None else self.fc(torch.cat([cross, self.dnn(x_0)], dim=-1))
        return {"y_pred": self.output_activation(logit)}


class GatedCrossNet(nn.Module):
    """x_{l+1} = x_0 * (W_l x_l + b_l) * sigmoid(G_l x_l) + x_l, (B, m) -> (B, m)."""

    def __init__(self, input_dim: int, num_layers: int):
        super().__init__()
        # The names are FuxiCTR's, so that checkpoints of its GDCN load.
        self.w = nn.ModuleList(nn.Linear(input_dim, input_dim, bias=False) for _ in range(num_layers))
        self.wg = nn.ModuleList(nn.Linear(input_dim, input_dim, bias=False) for _ in range(num_layers))
        self.b = nn.ParameterList(torch.rand(input_dim) for _ in range(num_layers))

    def forward(self, x_0: Tensor) -> Tensor:
        x = x_0
        for cross, gate, bias in zip(self.w, self.wg, self.b, strict=True):
            x = x_0 * (cross(x) + bias) * gate(x).sigmoid() + x
        return x
