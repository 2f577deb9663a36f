"""CCPM: convolutions over neighbouring fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding, KMaxPooling
from fuxictr.pytorch.torch_utils import get_activation
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel

FINAL_ROWS = 3


class CCPM(CTRModel):
    """CCPM runs convolutions along the fields, separately in each dimension, and keeps the largest of every layer.

    Paper: A Convolutional Click Prediction Model, CIKM 2015, https://doi.org/10.1145/2806416.2806603.
    Authors: Qiang Liu, Feng Yu, Shu Wu, Liang Wang.

        E^l = f( top-p_l rows of conv^l(E^{l-1}) ),  p_l = max(3, floor((1 - (l/L)^{L-l}) n)),  p_L = 3
        y = sigmoid( w vec(E^L) + b )

    The convolution is a wide one: zeros are padded before the first field and after the last. The
    largest values keep their order.

    Data: any features; a sequence must be pooled to one embedding. The order of the fields matters.

    Deviations: none but p_l of at least 3, as in FuxiCTR.

    Args:
        channels: feature maps of each layer.
        kernel_heights: how many neighbouring rows each layer sees, one number a layer.
        activation: f, by name.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "CCPM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        channels: Sequence[int] = (4, 4, 2),
        kernel_heights: Sequence[int] = (6, 5, 3),
        activation: str = "Tanh",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if not channels or len(channels) != len(kernel_heights):
            raise ValueError(
                "channels and kernel_heights must have one number for each of one or more layers, "
                f"but channels={list(channels)} and kernel_heights={list(kernel_heights)}"
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.conv_layer = convolutions(feature_map.num_fields, channels, kernel_heights, activation)
        self.fc = nn.Linear(FINAL_ROWS * embedding_dim * channels[-1], 1)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        maps = self.conv_layer(embeddings.unsqueeze(1))  # (B, channels, 3, k)
        return {"y_pred": self.output_activation(self.fc(maps.flatten(1)))}


def convolutions(
    num_fields: int, channels: Sequence[int], kernel_heights: Sequence[int], activation: str
) -> nn.Sequential:
    """Convolution, p-max pooling and activation in turn: (B, 1, n, k) -> (B, channels[-1], 3, k)."""
    layers: list[nn.Module] = []
    rows, maps = num_fields, 1
    for depth, (new_maps, height) in enumerate(zip(channels, kernel_heights, strict=True), start=1):
        require_positive(**{f"channels[{depth - 1}]": new_maps, f"kernel_heights[{depth - 1}]": height})
        kept = pooled_rows(depth, len(channels), num_fields)
        rows += height - 1
        if rows < kept:
            raise ValueError(
                f"convolution {depth} must leave at least the {kept} rows that are pooled, but with "
                f"kernel_heights={list(kernel_heights)} and {num_fields} fields it leaves {rows}"
            )
        layers += [
            nn.Conv2d(maps, new_maps, kernel_size=(height, 1), padding=(height - 1, 0)),
            KMaxPooling(kept, dim=2),
            get_activation(activation),
        ]
        rows, maps = kept, new_maps
    return nn.Sequential(*layers)


def pooled_rows(depth: int, num_layers: int, num_fields: int) -> int:
    """p_l: how many rows the pooling of a layer keeps; layers count from 1.

    >>> [pooled_rows(depth, 3, 39) for depth in (1, 2, 3)]
    [34, 13, 3]
    """
    if depth == num_layers:
        return FINAL_ROWS
    return max(FINAL_ROWS, int((1 - (depth / num_layers) ** (num_layers - depth)) * num_fields))
