"""Per-token networks: every token has weights of its own.

The weights of all T tokens lie in one tensor (T, in, out), and how the tokens are walked is left to the
device. A GPU takes all of them in one batched product. A CPU takes them one after the other, each through
the whole network before the next, so that the intermediate values of a token are still in cache when they
are used again. Both walks run the same formula, which every layer states once.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checks import require_one_of, require_positive, require_rate, require_widths
from .dropout import Dropout
from .norms import rms_norm

Activation = Literal["gelu", "relu"]
FFNKind = Literal["glu", "gelu", "relu"]
Weights = tuple  # of tensors (T, ...), or of such tuples


class PerToken(nn.Module):
    """A network of which every token has its own copy, (B, T, in) -> (B, T, out).

    A subclass has ``weights()`` and ``formula(x, weights)``. The formula reads the same for one token, x (B, in) with
    the weights of that token, and for all of them, x (T, B, in) with weights that carry T in front.
    """

    walk: Literal["auto", "together", "one_by_one"] = "auto"
    repeated: ClassVar[str] = "formula"  # the method that a CPU calls once a token, for a compiler

    def weights(self) -> Weights:
        """The tensors that ``formula`` needs; by default those of the child layers, in their order."""
        return tuple(layer.weights() if isinstance(layer, PerToken) else () for layer in self.children())

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} must say what one token computes")

    def forward(self, x: Tensor) -> Tensor:
        together = x.device.type != "cpu" if self.walk == "auto" else self.walk == "together"
        if together:
            return self.formula(x.transpose(0, 1), self.weights()).transpose(0, 1)
        slices = zip(x.unbind(1), by_token(self.weights(), x.shape[1]), strict=True)
        return torch.stack([self.formula(x_t, weights_t) for x_t, weights_t in slices], dim=1)


def by_token(weights: Weights | Tensor, num_tokens: int) -> Sequence:
    """The weights of all tokens, cut into one set per token.

    Each tensor is unbound once, so that its gradient comes back as one stack. Indexing it token by token
    would make autograd fill and add up one zero tensor of full size for every token.
    """
    if isinstance(weights, Tensor):
        return weights.unbind(0)
    if not weights:
        return [()] * num_tokens
    return list(zip(*(by_token(part, num_tokens) for part in weights), strict=True))


def affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W + b, for one token, (B, in) by (in, out), or for all, (T, B, in) by (T, in, out)."""
    if bias is None:
        return x @ weight
    return torch.addmm(bias, x, weight) if x.dim() == 2 else torch.baddbmm(bias, x, weight)


class PerTokenLinear(PerToken):
    """A linear map for every token, (B, T, in) -> (B, T, out).

    Parameters: weight (T, in, out), bias (T, 1, out). ``gain`` scales the weights' start.
    """

    def __init__(self, num_tokens: int, in_features: int, out_features: int, bias: bool = True, gain: float = 1.0):
        require_positive(num_tokens=num_tokens, in_features=in_features, out_features=out_features)
        super().__init__()
        self.gain = gain
        self.weight = nn.Parameter(torch.empty(num_tokens, in_features, out_features))
        self.bias = nn.Parameter(torch.empty(num_tokens, 1, out_features)) if bias else None
        self.init_weights()

    def init_weights(self) -> None:
        """Starts every token as FuxiCTR starts an nn.Linear; FuxiCTR calls it after resetting its own layers.

        Slice by slice, because Xavier's fans of a three-dimensional tensor are those of a convolution.
        """
        for weight in self.weight:
            nn.init.xavier_normal_(weight, self.gain)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def weights(self) -> Weights:
        return (self.weight,) if self.bias is None else (self.weight, self.bias)

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        return affine(x, *weights)

    def extra_repr(self) -> str:
        num_tokens, in_features, out_features = self.weight.shape
        return f"{num_tokens} tokens, {in_features} -> {out_features}, bias={self.bias is not None}"


class PerTokenRMSNorm(PerToken):
    """RMSNorm with a gain for every token, (B, T, m) -> (B, T, m). Parameters: gain (T, 1, m)."""

    def __init__(self, num_tokens: int, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(num_tokens, 1, width))

    def weights(self) -> Weights:
        return (self.gain,)

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        (gain,) = weights
        return rms_norm(x, gain)


class PerTokenGLU(PerToken):
    """The gated linear unit of RankElastor's paper without its residual, ( GELU(x W1) * (x W2) ) W3.

    W1, W2 (T, D, rD), W3 (T, rD, D), no biases; (B, T, D) -> (B, T, D).
    """

    def __init__(self, num_tokens: int, width: int, expansion: float):
        hidden = expanded(width, expansion)
        super().__init__()
        self.gate = PerTokenLinear(num_tokens, width, hidden, bias=False)  # W1
        self.value = PerTokenLinear(num_tokens, width, hidden, bias=False)  # W2
        self.down = PerTokenLinear(num_tokens, hidden, width, bias=False)  # W3

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        gate, value, down = weights
        return affine(F.gelu(affine(x, *gate)) * affine(x, *value), *down)


class PerTokenSwiGLU(PerToken):
    """The gated linear unit of TokenMixer-Large, ( SiLU(x W_gate + b) * (x W_up + b) ) W_down + b.

    W_gate, W_up (T, D, nD), W_down (T, nD, D); (B, T, D) -> (B, T, D). W_down starts at ``down_gain`` of the usual
    scale: at a hundredth, a residual block around it starts as nearly the identity. ``share`` divides the inner width,
    for one of so many experts.
    """

    def __init__(self, num_tokens: int, width: int, expansion: float, down_gain: float = 0.01, share: int = 1):
        hidden = expanded(width, expansion) // share
        super().__init__()
        self.gate = PerTokenLinear(num_tokens, width, hidden)
        self.up = PerTokenLinear(num_tokens, width, hidden)
        self.down = PerTokenLinear(num_tokens, hidden, width, gain=down_gain)

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        gate, up, down = weights
        return affine(F.silu(affine(x, *gate)) * affine(x, *up), *down)


class PerTokenSkipGLU(PerToken):
    """The gated linear unit of RankElastor's published code, which has skips inside; (B, T, D) -> (B, T, D).

        r != 1:  down( (lift(x) + GELU(gate(x))) * value(x) ) + skip(x)
        r == 1:        (skip(x) + GELU(gate(x))) * value(x)   + skip(x)

    Every map is linear with bias: gate, value and lift D -> rD, down rD -> D, skip D -> D. At r = 1 neither
    lift nor down exists, and skip serves twice.
    """

    def __init__(self, num_tokens: int, width: int, expansion: float):
        hidden = expanded(width, expansion)
        super().__init__()
        self.gate = PerTokenLinear(num_tokens, width, hidden)
        self.value = PerTokenLinear(num_tokens, width, hidden)
        self.skip = PerTokenLinear(num_tokens, width, width)
        self.expands = expansion != 1
        if self.expands:
            self.lift = PerTokenLinear(num_tokens, width, hidden)
            self.down = PerTokenLinear(num_tokens, hidden, width)

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        gate, value, skip, *lift_down = weights
        skipped = affine(x, *skip)
        if not self.expands:
            return (skipped + F.gelu(affine(x, *gate))) * affine(x, *value) + skipped
        lift, down = lift_down
        gated = affine(x, *lift).add_(F.gelu(affine(x, *gate))) * affine(x, *value)  # in place: no new memory
        return affine(gated, *down).add_(skipped)


class PerTokenSequential(PerToken, nn.Sequential):
    """Layers in a row; those without weights, as an activation or a dropout, are plain modules."""

    def formula(self, x: Tensor, weights: Weights) -> Tensor:
        for layer, layer_weights in zip(self, weights, strict=True):
            x = layer.formula(x, layer_weights) if isinstance(layer, PerToken) else layer(x)
        return x


def glu_ffn(
    num_tokens: int,
    token_dim: int,
    hidden_units: Sequence[int],
    expansion: float,
    norm: bool = True,
    dropout: float = 0.0,
) -> PerTokenSequential:
    """The per-token FFN of RankElastor's published code, without the residual around it; (B, T, D) -> (B, T, D).

    For each width h of ``hidden_units``: [RMSNorm] -> SkipGLU -> [Linear to h, where the width changes] ->
    [Dropout]; then Linear to D.
    """
    check_ffn(token_dim, hidden_units, expansion, dropout)
    layers: list[nn.Module] = []
    width = token_dim
    for hidden in hidden_units:
        if norm:
            layers.append(PerTokenRMSNorm(num_tokens, width))
        layers.append(PerTokenSkipGLU(num_tokens, width, expansion))
        if hidden != width:
            layers.append(PerTokenLinear(num_tokens, width, hidden))
        if dropout > 0:
            layers.append(Dropout(dropout))
        width = hidden
    return PerTokenSequential(*layers, PerTokenLinear(num_tokens, width, token_dim))


def mlp_ffn(
    num_tokens: int,
    token_dim: int,
    hidden_units: Sequence[int],
    activation: Activation = "gelu",
    norm: bool = False,
    dropout: float = 0.0,
) -> PerTokenSequential:
    """A plain per-token FFN, without the residual around it; (B, T, D) -> (B, T, D).

    For each width h of ``hidden_units``: Linear to h -> [RMSNorm] -> activation -> [Dropout]; then Linear to D.
    One hidden width rD makes it RankMixer's PFFN, GELU(x W1 + b1) W2 + b2.
    """
    require_one_of("activation", activation, Activation)
    check_ffn(token_dim, hidden_units, dropout=dropout)
    layers: list[nn.Module] = []
    width = token_dim
    for hidden in hidden_units:
        layers.append(PerTokenLinear(num_tokens, width, hidden))
        if norm:
            layers.append(PerTokenRMSNorm(num_tokens, hidden))
        layers.append(nn.GELU() if activation == "gelu" else nn.ReLU())
        if dropout > 0:
            layers.append(Dropout(dropout))
        width = hidden
    return PerTokenSequential(*layers, PerTokenLinear(num_tokens, width, token_dim))


def check_ffn(token_dim: int, hidden_units: Sequence[int], expansion: float = 1.0, dropout: float = 0.0) -> None:
    """The conditions on the settings of a per-token FFN, for use before anything is allocated."""
    require_widths("ffn_hidden_units", hidden_units)
    require_rate("ffn_dropout", dropout)
    for width in (token_dim, *hidden_units):
        expanded(width, expansion)


def expanded(width: int, expansion: float) -> int:
    """The hidden width r * D, rounded down.

    >>> expanded(30, 1.5), expanded(3, 1.5)
    (45, 4)
    """
    hidden = int(expansion * width)
    if hidden < 1:
        raise ValueError(
            "ffn_expansion times the width must be at least 1, but "
            f"ffn_expansion={expansion} and the width is {width}; the nearest that fits is {1 / width:.3g}"
        )
    return hidden
