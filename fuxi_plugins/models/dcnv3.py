"""DCNv3: a deep and a shallow cross network that mask their own crosses, each with a loss of its own."""

from collections.abc import Mapping
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .stages import Point


class DCNv3(CTRModel):
    """DCNv3 averages a cross network of exponential and one of linear order, whose crosses are partly masked.

    Paper: DCNv3: Towards Next Generation Deep Cross Network for CTR Prediction, arXiv 2024,
    https://arxiv.org/abs/2407.13349.
    Authors: Honghao Li, Yiwen Zhang, Yi Zhang, Hanwei Li, Lei Sang.

    Later versions of the paper call it FCN.

        c = W_l x_l,  h = [c; c * ReLU(LayerNorm(c))]
        deep (ECN):     x_{l+1} = x_l * (h + b_l) + x_l
        shallow (LCN):  x_{l+1} = x_0 * (h + b_l) + x_l
        d, s = w x_L + b of the deep and of the shallow network, y = sigmoid((d + s) / 2)
        loss = BCE(y) + max(0, BCE(sigmoid(d)) - BCE(y)) BCE(sigmoid(d)) + the same of s

    W_l (nk -> nk/2). x_0 holds the first halves of all field embeddings, then the second halves, so that a mask meets
    one half of every embedding. With H heads the embeddings are H k wide; each network reads the H parts by the same
    weights and averages the logits. A model with one network alone has the plain loss.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: none from the authors' code. As there, the weights of the two extra losses are not detached, so that
    gradients flow through them too.

    Args:
        embedding_dim: k, an even number.
        num_deep_cross_layers: layers of the exponential network; 0 leaves it out.
        num_shallow_cross_layers: layers of the linear network; 0 leaves it out.
        deep_net_dropout, shallow_net_dropout: dropout after each layer of the network.
        layer_norm: LayerNorm before the ReLU of the mask.
        batch_norm: BatchNorm of c, with one channel for each head.
        num_heads: H.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DCNv3",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_deep_cross_layers: int = 4,
        num_shallow_cross_layers: int = 4,
        deep_net_dropout: float = 0.1,
        shallow_net_dropout: float = 0.3,
        layer_norm: bool = True,
        batch_norm: bool = False,
        num_heads: int = 1,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if embedding_dim % 2:
            raise ValueError(f"embeddings are cut in halves, so embedding_dim must be even, but it is {embedding_dim}")
        layers = (num_deep_cross_layers, num_shallow_cross_layers)
        if min(layers) < 0 or not any(layers):
            raise ValueError(
                "at least one of the two networks must have layers, but num_deep_cross_layers="
                f"{num_deep_cross_layers} and num_shallow_cross_layers={num_shallow_cross_layers}"
            )
        require_positive(num_heads=num_heads)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.num_heads = num_heads
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim * num_heads)
        width = feature_map.num_fields * embedding_dim

        def network(num_layers: int, dropout: float, exponential: bool) -> MaskedCrossNetwork | None:
            if not num_layers:
                return None
            return MaskedCrossNetwork(width, num_layers, exponential, dropout, layer_norm, batch_norm, num_heads)

        self.deep_net = network(num_deep_cross_layers, deep_net_dropout, exponential=True)
        self.shallow_net = network(num_shallow_cross_layers, shallow_net_dropout, exponential=False)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        x_0 = head_halves(self.embedding_layer(self.get_inputs(inputs)), self.num_heads)  # (B, H, nk)
        logits = [net(x_0).mean(dim=1) for net in (self.deep_net, self.shallow_net) if net is not None]
        y_pred = self.output_activation(torch.stack(logits).mean(dim=0))
        each = [self.output_activation(logit) for logit in logits] if len(logits) == 2 else []
        return {"y_pred": y_pred, "y_of_each_net": each}

    def add_loss(self, return_dict: Mapping[str, Any], y_true: Tensor) -> Tensor:
        """The loss of the prediction, and of a network that is worse than it the more of its own, the worse it is."""
        joint = super().add_loss(return_dict, y_true)
        total = joint
        for y in return_dict["y_of_each_net"]:
            own = self.loss_fn(y, y_true, reduction="mean")
            total = total + torch.relu(own - joint) * own
        return total

    def stages(self) -> dict[str, Point]:
        """x_1, x_2, ... of the deep, then of the shallow network, (B, H, nk)."""
        nets = (("deep", self.deep_net), ("shallow", self.shallow_net))
        return {
            f"{name}_{depth}": layer
            for name, net in nets
            if net is not None
            for depth, layer in enumerate(net.layers, start=1)
        }


def head_halves(embeddings: Tensor, num_heads: int) -> Tensor:
    """(B, n, H k) -> (B, H, nk): for each head the first halves of its part of all fields, then the second halves.

    >>> head_halves(torch.arange(8).view(1, 2, 4), num_heads=1)
    tensor([[[0, 1, 4, 5, 2, 3, 6, 7]]])
    >>> head_halves(torch.arange(8).view(1, 2, 4), num_heads=2)
    tensor([[[0, 4, 1, 5],
             [2, 6, 3, 7]]])
    """
    halves = embeddings.unflatten(-1, (num_heads, 2, -1))  # (B, n, H, 2, k/2)
    return halves.permute(0, 2, 3, 1, 4).flatten(2)


class MaskedCrossNetwork(nn.Module):
    """Masked cross layers and a linear map to one logit, (B, H, nk) -> (B, H, 1)."""

    def __init__(
        self,
        width: int,
        num_layers: int,
        exponential: bool,
        dropout: float,
        layer_norm: bool,
        batch_norm: bool,
        num_heads: int,
    ):
        super().__init__()
        self.exponential = exponential
        self.layers = nn.ModuleList(
            MaskedCross(width, dropout, layer_norm, batch_norm, num_heads) for _ in range(num_layers)
        )
        self.fc = nn.Linear(width, 1)

    def forward(self, x_0: Tensor) -> Tensor:
        x = x_0
        for layer in self.layers:
            x = layer(x if self.exponential else x_0, x)
        return self.fc(x)


class MaskedCross(nn.Module):
    """dropout( base * ([c; c * mask(c)] + b) + x ), c = W x; base and x (B, H, nk) -> (B, H, nk)."""

    def __init__(self, width: int, dropout: float, layer_norm: bool, batch_norm: bool, num_heads: int):
        super().__init__()
        self.linear = nn.Linear(width, width // 2, bias=False)
        self.bias = nn.Parameter(torch.rand(width))  # the authors start it in [0, 1)
        self.batch_norm = nn.BatchNorm1d(num_heads) if batch_norm else nn.Identity()
        self.layer_norm = nn.LayerNorm(width // 2) if layer_norm else nn.Identity()
        self.dropout = nn.Dropout(dropout)

    def forward(self, base: Tensor, x: Tensor) -> Tensor:
        c = self.batch_norm(self.linear(x))  # (B, H, nk/2)
        crossed = torch.cat([c, c * self.layer_norm(c).relu()], dim=-1) + self.bias
        return self.dropout(base * crossed + x)
