"""A wide hidden layer between two narrow ones, on a CPU in few passes over the wide values.

The shared tokenizer sends every token, some 30 values, through a hidden layer of some 500:

    y = W2 z + b2      z = dropout(ReLU(g * h / rms(h)))      h = W1 x + b1

Layer after layer, a training step reads or writes the wide values some 30 times, and four tensors of them are kept for
the gradient. Here a third of that is enough, and z alone is kept, because

- 1 / rms(h) is one positive number a row. ReLU, dropout and W2 let it through, so it may multiply the narrow W2 z.
- g and dropout's scale may multiply the rows of W1 and b1, which are few, instead of those of h.
- b1 is one more column of W1, for x with a one behind each row, so its sum and its gradient are part of the products.
- |h| = |R (x, 1)|, where R is the triangular factor of the matrix (W1, b1) and as narrow as x.
- z > 0 where neither ReLU nor dropout stops a gradient.

The result is that of the layers up to rounding.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .dropout import BITS, Dropout, as_whole_numbers, drop_
from .norms import EPS, RMSNorm
from .products import product

WIDENING = 4  # times as wide as its input; below, the factor R saves less than it costs


def gains(x: Tensor, hidden_units: Sequence[int]) -> bool:
    """Whether :func:`through_wide_hidden` is faster for x (N, k) than one layer after the other.

    On a GPU and within compiled code other kernels decide.
    """
    others = x.device.type != "cpu" or torch.compiler.is_compiling()
    return not others and len(hidden_units) == 1 and hidden_units[0] >= WIDENING * x.shape[1]


def through_wide_hidden(mlp: nn.Sequential, x: Tensor, piece: int) -> Tensor:
    """What ``mlp(x)`` is up to rounding, x (N, k) on a CPU -> (N, D).

    The MLP is Linear -> [RMSNorm] -> ReLU -> [Dropout] -> Linear. The wide values are computed for ``piece`` rows at a
    time, so that they stay in cache; dropout draws as it does for pieces of so many rows. In mixed precision they are
    bfloat16, and so is the result; the norm is found in the weights' type.
    """
    layers: list[Any] = list(mlp)
    first, *between, last = layers
    gain = next((layer.gain for layer in between if isinstance(layer, RMSNorm)), None)
    rate = sum(layer.p for layer in between if isinstance(layer, Dropout) and layer.training)
    dropped = round(rate * 2**BITS)
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    with torch.autocast("cpu", enabled=False):
        x = x.to(first.weight.dtype)
        scale = 1 / (1 - dropped / 2**BITS) * (torch.ones_like(first.bias) if gain is None else gain)
        x_1, affine = (
            torch.cat([x, torch.ones_like(x[:, :1])], dim=1),
            torch.cat([first.weight, first.bias[:, None]], 1),
        )
        scaled = affine * scale.unsqueeze(1)
        out = _ThroughHidden.apply(x_1, scaled, last.weight, dropped, piece, kind, torch.is_grad_enabled())
        if gain is None:
            return (out + last.bias).to(kind)
        mean_square = _SquaredLengths.apply(x_1, affine) / len(gain)
        # Of a row of zeros ReLU stops the gradient, as RMSNorm would.
        return torch.addcmul(last.bias, out, (mean_square + EPS).rsqrt()).to(kind)


class _ThroughHidden(torch.autograd.Function):
    """dropout(ReLU(x W1^T)) W2^T of x (N, k), W1 (H, k), W2 (D, H), without dropout's scale.

    Products are of type ``kind``; sums over pieces are of x's type. ``keeps`` says whether a gradient will be wanted.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight1: Tensor, weight2: Tensor,
        dropped: int, piece: int, kind: torch.dtype, keeps: bool,
    ) -> Tensor:  # fmt: skip
        out = x.new_empty(len(x), len(weight2))
        x, weight1, weight2 = (tensor.to(kind) for tensor in (x, weight1, weight2))
        rows, hidden = len(x), len(weight1)
        z = x.new_empty(rows if keeps else min(rows, piece), hidden)
        buffer = x.new_empty(piece, hidden)
        for start in range(0, rows, piece):
            part = slice(start, start + piece)
            z_part = z[part] if keeps else z[: len(x[part])]
            torch.mm(x[part], weight1.t(), out=z_part).relu_()
            if dropped:
                drop_(z_part, dropped, buffer[: len(z_part)])
            out[part] = product(z_part, weight2.t())
        ctx.save_for_backward(x, weight1, weight2, z)
        ctx.piece, ctx.exact = piece, out.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight1, weight2, z = ctx.saved_tensors
        grad = grad.to(x.dtype)
        grad_x, grad_weight1, grad_weight2 = (torch.zeros_like(of, dtype=ctx.exact) for of in (x, weight1.t(), weight2))
        buffer = z.new_empty(ctx.piece, len(weight1))
        for start in range(0, len(x), ctx.piece):
            part = slice(start, start + ctx.piece)
            z_part, grad_part = z[part], grad[part]
            grad_weight2 += grad_part.t() @ z_part
            grad_h = torch.mm(grad_part, weight2, out=buffer[: len(z_part)])
            passed, stopped_at = as_whole_numbers(grad_h), as_whole_numbers(z_part)
            torch.ops.aten.threshold_backward.grad_input(passed, stopped_at, 0, grad_input=passed)
            grad_weight1 += x[part].t() @ grad_h
            grad_x[part] = product(grad_h, weight1)
        return grad_x, grad_weight1.t(), grad_weight2, None, None, None, None


class _SquaredLengths(torch.autograd.Function):
    """|x W^T|^2 of each row of x (N, k), W (H, k) -> (N, 1), by no more than k values a row."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        triangle = torch.linalg.qr(weight, mode="r").R
        as_long = x @ triangle.t()
        ctx.save_for_backward(x, weight, triangle, as_long)
        return torch.linalg.vector_norm(as_long, dim=1, keepdim=True).square_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, weight, triangle, as_long = ctx.saved_tensors
        grad_x = (2 * grad * as_long) @ triangle
        return grad_x, weight @ (x.t() @ (2 * grad * x))
