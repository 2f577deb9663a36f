"""PPNet: an MLP whose hidden layers are scaled by gates that know all features and some of them by name."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import SelectedEmbedding, activation_layers
from .stages import Point


class PPNet(CTRModel):
    """PPNet multiplies each hidden layer of an MLP by a gate between 0 and 2 that prior features open or close.

    Paper: PEPNet: Parameter and Embedding Personalized Network for Infusing with Personalized Prior Information,
    KDD 2023, https://arxiv.org/abs/2302.01115.
    Authors: Jianxin Chang, Chenbin Zhang, Yiqun Hui, Dewei Leng, Yanan Niu, Yang Song, Kun Gai.

        g = [stop_gradient([e_1; ...; e_n]); p_1; ...; p_q]
        h_0 = [e_1; ...; e_n],  h_i = dropout(act(W_i h_{i-1} + b_i)) * 2 sigmoid( V_i ReLU(U_i g + c_i) + d_i )
        y = sigmoid( w h_L + b )

    p_j are embeddings of the prior features that the gates alone use.

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: this is the part of PEPNet for one domain and one task, as FuxiCTR has it; the gate on the embeddings
    is left out. FuxiCTR itself starts the gates' table of a prior with ``share_embedding`` at N(0, 1) when the feature
    that it shares with is no prior, here it starts like the others.

    Args:
        gate_priors: the prior features, as user, item and author. Without any, the gates know e_1, ..., e_n alone.
        gate_emb_dim: width of each p_j.
        gate_hidden_dim: width of the gates' hidden layer.
        hidden_units, hidden_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP, before its gate.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "PPNet",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        gate_emb_dim: int = 10,
        gate_priors: Sequence[str] = (),
        gate_hidden_dim: int = 64,
        hidden_units: Sequence[int] = (64, 64, 64),
        hidden_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(gate_emb_dim=gate_emb_dim, gate_hidden_dim=gate_hidden_dim)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.prior_embedding = SelectedEmbedding(feature_map, gate_emb_dim, gate_priors) if gate_priors else None
        input_dim = feature_map.sum_emb_out_dim()
        gate_dim = input_dim + (self.prior_embedding.width if self.prior_embedding is not None else 0)
        widths = [input_dim, *hidden_units]
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Linear(width, output),
                nn.BatchNorm1d(output) if batch_norm else nn.Identity(),
                activation,
                nn.Dropout(net_dropout),
            )
            for width, output, activation in zip(
                widths[:-1], hidden_units, activation_layers(hidden_activations, hidden_units), strict=True
            )
        )
        self.gates = nn.ModuleList(Gate(gate_dim, gate_hidden_dim, output) for output in hidden_units)
        self.fc = nn.Linear(widths[-1], 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        h = self.embedding_layer(features, flatten_emb=True)  # (B, nk)
        g = h.detach()  # the gates must not change what the features mean to all
        if self.prior_embedding is not None:
            g = torch.cat([g, self.prior_embedding(features)], dim=-1)
        for layer, gate in zip(self.layers, self.gates, strict=True):
            h = layer(h) * gate(g)
        return {"y_pred": self.output_activation(self.fc(h))}

    def stages(self) -> dict[str, Point]:
        """The hidden layers of the MLP before their gates, (B, width) each."""
        return {f"deep_{depth}": layer for depth, layer in enumerate(self.layers, start=1)}


class Gate(nn.Module):
    """2 sigmoid( V ReLU(U g + c) + d ), (B, input_dim) -> (B, output_dim); 1 where V and d are zero."""

    def __init__(self, input_dim: int, hidden_dim: int, output_dim: int):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)
        self.output = nn.Linear(hidden_dim, output_dim)

    def forward(self, g: Tensor) -> Tensor:
        return 2 * self.output(self.hidden(g).relu()).sigmoid()
