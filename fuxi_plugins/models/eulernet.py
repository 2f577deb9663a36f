"""EulerNet: embeddings as complex numbers, whose learned powers are multiplied."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_one_of

from .base import CTRModel

Initialization = Literal["zero_biases", "fuxictr", "official_code"]


class EulerNet(CTRModel):
    """EulerNet turns embeddings into complex numbers, where learned orders of interaction are sums of phases.

    Paper: EulerNet: Adaptive Feature Interaction Learning via Euler's Formula for CTR Prediction, SIGIR 2023,
    https://arxiv.org/abs/2304.10711.
    Authors: Zhen Tian, Ting Bai, Wayne Xin Zhao, Ji-Rong Wen, Zhao Cao.

        z_j = mu_j exp(i e_j) = r_j + i p_j
        explicit: prod_j z_j^{a_jm} = exp( sum_j a_jm ln|z_j| + c_m ) exp( i (sum_j a_jm arg(z_j) + d_m) )
        implicit: ReLU(W r + b) + i ReLU(W p + b);  z'_m = [LayerNorm]( explicit_m + implicit_m )
        y = sigmoid( w r^L + b + w p^L + b )

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: in the start alone. ``initialization`` says how W and the two b of the linear maps start: in FuxiCTR, W
    uniformly by Glorot and each b uniformly within 1 / sqrt(inputs), as torch starts it; in the authors' code, W with a
    standard deviation of 0.01 and each b as in FuxiCTR; ``zero_biases`` is FuxiCTR's W with each b at 0, as in all
    other models here. FuxiCTR keeps the LayerNorms of a layer as parameters even where it does not use them.

    Args:
        shape: the number of complex vectors that each layer makes.
        layer_norm: LayerNorm of the real and of the imaginary part.
        initialization: of the linear maps, as above.
        net_ex_dropout, net_im_dropout: dropout of what enters the explicit and the implicit part.
    """

    added_settings: ClassVar = ("initialization",)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "EulerNet",
        gpu: int = -1,
        shape: Sequence[int] = (3,),
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        net_ex_dropout: float = 0.0,
        net_im_dropout: float = 0.0,
        layer_norm: bool = False,
        initialization: Initialization = "zero_biases",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if not shape or min(shape) < 1:
            raise ValueError(f"shape must hold a positive size for at least one layer, but shape={list(shape)}")
        require_one_of("initialization", initialization, Initialization)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.initialization = initialization
        num_fields = feature_map.num_fields
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.mu = nn.Parameter(torch.ones(1, num_fields, 1))
        sizes = [num_fields, *shape]
        self.Euler_interaction_layers = nn.Sequential(
            *(
                EulerInteraction(
                    inputs, outputs, embedding_dim, layer_norm, net_ex_dropout, net_im_dropout, initialization
                )
                for inputs, outputs in zip(sizes[:-1], shape, strict=True)
            )
        )
        self.reg = nn.Linear(shape[-1] * embedding_dim, 1)
        self.finish_init(learning_rate, **kwargs)

    def init_weights(self) -> None:
        """Starts the bias of the last map; FuxiCTR calls it after resetting its own layers."""
        if self.initialization != "zero_biases":
            start_bias_as_torch(self.reg)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        phase = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        real, imaginary = self.Euler_interaction_layers((self.mu * phase.cos(), self.mu * phase.sin()))
        logit = self.reg(real.flatten(1)) + self.reg(imaginary.flatten(1))
        return {"y_pred": self.output_activation(logit)}


class EulerInteraction(nn.Module):
    """One layer; real and imaginary parts, two of (B, n, k) -> two of (B, m, k)."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding_dim: int,
        layer_norm: bool,
        explicit_dropout: float,
        implicit_dropout: float,
        initialization: Initialization,
    ):
        super().__init__()
        self.initialization = initialization
        nearly_one_input_each = (torch.randn(inputs, outputs) / 0.01).softmax(dim=0)
        # The names are FuxiCTR's; a, c, d and W, b of the formula.
        self.inter_orders = nn.Parameter(torch.eye(inputs) if inputs == outputs else nearly_one_input_each)
        self.bias_lam = nn.Parameter(0.01 * torch.randn(1, embedding_dim, outputs))
        self.bias_theta = nn.Parameter(0.01 * torch.randn(1, embedding_dim, outputs))
        self.im = nn.Linear(inputs * embedding_dim, outputs * embedding_dim)
        self.drop_ex = nn.Dropout(explicit_dropout)
        self.drop_im = nn.Dropout(implicit_dropout)
        self.norm_r = nn.LayerNorm(embedding_dim) if layer_norm else nn.Identity()
        self.norm_p = nn.LayerNorm(embedding_dim) if layer_norm else nn.Identity()

    def init_weights(self) -> None:
        """Starts the implicit part; FuxiCTR calls it after resetting its own layers."""
        if self.initialization == "official_code":
            nn.init.normal_(self.im.weight, std=0.01)
        else:
            nn.init.xavier_uniform_(self.im.weight)
        if self.initialization != "zero_biases":
            start_bias_as_torch(self.im)

    def forward(self, complex_features: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        real, imaginary = complex_features
        log_modulus = 0.5 * (real**2 + imaginary**2 + 1e-8).log()
        phase = torch.atan2(imaginary, real)
        modulus = (self._combine(log_modulus) + self.bias_lam.transpose(1, 2)).exp()  # (B, m, k)
        phase = self._combine(phase) + self.bias_theta.transpose(1, 2)
        return (
            self.norm_r(self._implicit(real) + modulus * phase.cos()),
            self.norm_p(self._implicit(imaginary) + modulus * phase.sin()),
        )

    def _combine(self, x: Tensor) -> Tensor:
        """sum_j a_jm x_j, (B, n, k) -> (B, m, k)."""
        return self.inter_orders.T @ self.drop_ex(x)

    def _implicit(self, x: Tensor) -> Tensor:
        """ReLU(W vec(x) + b), (B, n, k) -> (B, m, k)."""
        return self.im(self.drop_im(x.flatten(1))).relu().unflatten(1, (-1, x.shape[-1]))


def start_bias_as_torch(linear: nn.Linear) -> None:
    """Starts the bias uniformly within 1 / sqrt(inputs), as torch does and FuxiCTR's reset undoes."""
    bound = linear.in_features**-0.5
    nn.init.uniform_(linear.bias, -bound, bound)
