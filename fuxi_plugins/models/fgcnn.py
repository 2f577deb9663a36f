"""FGCNN: new features made by convolutions over the fields, then inner products of all and an MLP."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from fuxictr.pytorch.torch_utils import get_activation
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block


class FGCNN(CTRModel):
    """FGCNN generates features from neighbouring fields by convolutions, and feeds all to an inner-product network.

    Paper: Feature Generation by Convolutional Neural Network for Click-Through Rate Prediction, WWW 2019,
    https://arxiv.org/abs/1904.04447.
    Authors: Bin Liu, Ruiming Tang, Yingzhi Chen, Jinkai Yu, Huifeng Guo, Yuzhou Zhang.

        C_0 = E',  C_l = pool( tanh( BatchNorm( conv_l(C_{l-1}) ) ) ),  R_l = tanh( W_l vec(C_l) + b_l )
        F = [E; R_1; R_2; ...],  y = sigmoid( MLP([vec(F); <f_i, f_j> for all i < j]) )

    E and E' are two sets of embeddings of the same features.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding. The order of the
    features matters, because a convolution sees neighbours.

    Deviations: kernels of even height and pooling by more than 2 always fit, where FuxiCTR's shapes often do not
    agree; with odd kernels and pooling by 2 the two are the same. The MLP is smaller by default than FuxiCTR's
    4096, 2048, 1024, 512.

    Args:
        share_embedding: E' is E.
        channels: of each convolution.
        kernel_heights: fields under each kernel; one number for all convolutions, or one for each.
        pooling_sizes: fields that become one after each convolution, likewise.
        recombined_channels: features made from each pooled field, likewise.
        conv_activation, conv_batch_norm: the activation of convolutions and recombinations; the BatchNorm.
        dnn_hidden_units: widths of the MLP's hidden layers.
        dnn_activations: one name for all hidden layers, or one for each.
        dnn_batch_norm: BatchNorm before each activation of the MLP.
        net_dropout: dropout after each activation of the MLP.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FGCNN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        share_embedding: bool = False,
        channels: Sequence[int] = (14, 16, 18, 20),
        kernel_heights: int | Sequence[int] = (7, 7, 7, 7),
        pooling_sizes: int | Sequence[int] = (2, 2, 2, 2),
        recombined_channels: int | Sequence[int] = (2, 2, 2, 2),
        conv_activation: str = "Tanh",
        conv_batch_norm: bool = True,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        dnn_batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        net_dropout: float = 0.0,
        **kwargs: Any,
    ):
        if not channels:
            raise ValueError("there must be at least one convolution, but channels is empty")
        kernel_heights = one_each("kernel_heights", kernel_heights, channels)
        pooling_sizes = one_each("pooling_sizes", pooling_sizes, channels)
        recombined_channels = one_each("recombined_channels", recombined_channels, channels)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        num_fields = feature_map.num_fields
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.fg_embedding_layer = None if share_embedding else FeatureEmbedding(feature_map, embedding_dim)
        self.fgcnn_layer = FeatureGeneration(
            num_fields,
            embedding_dim,
            channels,
            kernel_heights,
            pooling_sizes,
            recombined_channels,
            conv_activation,
            conv_batch_norm,
        )
        vectors = num_fields + self.fgcnn_layer.num_new
        self.register_buffer("pairs", torch.triu_indices(vectors, vectors, offset=1), persistent=False)
        self.dnn = mlp_block(
            vectors * embedding_dim + vectors * (vectors - 1) // 2,
            dnn_hidden_units,
            1,
            dnn_activations,
            net_dropout,
            dnn_batch_norm,
        )
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        source = embeddings if self.fg_embedding_layer is None else self.fg_embedding_layer(features)
        vectors = torch.cat([embeddings, self.fgcnn_layer(source)], dim=1)  # (B, v, k)
        products = vectors @ vectors.transpose(1, 2)  # (B, v, v)
        left, right = self.pairs
        logit = self.dnn(torch.cat([vectors.flatten(1), products[:, left, right]], dim=-1))
        return {"y_pred": self.output_activation(logit)}


def one_each(name: str, sizes: int | Sequence[int], channels: Sequence[int]) -> list[int]:
    """The sizes of all convolutions, from one number for all or one for each; all positive."""
    spread = [sizes] * len(channels) if isinstance(sizes, int) else list(sizes)
    if len(spread) != len(channels):
        raise ValueError(
            f"{name} must have as many entries as channels, but {name}={spread}, channels={list(channels)}"
        )
    require_positive(**{name: min(spread)})
    return spread


class FeatureGeneration(nn.Module):
    """Convolutions over the fields, and after each a recombination to new features; (B, n, k) -> (B, num_new, k)."""

    def __init__(
        self,
        num_fields: int,
        embedding_dim: int,
        channels: Sequence[int],
        kernel_heights: Sequence[int],
        pooling_sizes: Sequence[int],
        recombined_channels: Sequence[int],
        activation: str,
        batch_norm: bool,
    ):
        super().__init__()
        self.embedding_dim = embedding_dim
        self.num_new = 0
        self.conv_layers = nn.ModuleList()
        self.recombine_layers = nn.ModuleList()
        height, in_channels = num_fields, 1
        settings = zip(channels, kernel_heights, pooling_sizes, recombined_channels, strict=True)
        for out_channels, kernel_height, pooling_size, new_channels in settings:
            layers: list[nn.Module] = [
                nn.Conv2d(in_channels, out_channels, kernel_size=(kernel_height, 1), padding="same")
            ]
            if batch_norm:
                layers.append(nn.BatchNorm2d(out_channels))
            self.conv_layers.append(nn.Sequential(*layers, get_activation(activation), FieldPooling(pooling_size)))
            height, in_channels = -(-height // pooling_size), out_channels
            recombine = nn.Linear(height * embedding_dim * out_channels, height * embedding_dim * new_channels)
            self.recombine_layers.append(nn.Sequential(recombine, get_activation(activation)))
            self.num_new += height * new_channels

    def forward(self, x: Tensor) -> Tensor:
        x = x.unsqueeze(1)  # (B, 1, n, k)
        new = []
        for convolve, recombine in zip(self.conv_layers, self.recombine_layers, strict=True):
            x = convolve(x)  # (B, channels, height, k)
            new.append(recombine(x.flatten(1)).unflatten(1, (-1, self.embedding_dim)))
        return torch.cat(new, dim=1)


class FieldPooling(nn.Module):
    """The maximum of each ``size`` neighbouring fields, (B, c, height, k) -> (B, c, ceil(height / size), k).

    Where the last would be incomplete, the first and the last are, in turn.
    """

    def __init__(self, size: int):
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        missing = -x.shape[2] % self.size
        padded = F.pad(x, (0, 0, (missing + 1) // 2, missing // 2), value=float("-inf"))
        return F.max_pool2d(padded, (self.size, 1))
