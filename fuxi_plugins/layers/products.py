"""Products of rows with weights, turned round where a CPU multiplies them faster so.

MKL computes rows of the result in vectors of eight or more numbers. On AMD's processors it is slow where the width of
the result is no multiple of eight, as for the gradient of 4096 rows of 39 embeddings of width 20. (A B)^T = B^T A^T
has the rows of the batch for its width. The sums are the same up to their order, hence up to rounding. On Intel's
processors every width is fast, and turning a result back would only take time. ``scripts/measure_step.py`` (way
``plain-products``) measures both.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CPU = Path("/proc/cpuinfo")
TURNS = CPU.exists() and "AuthenticAMD" in CPU.read_text(errors="replace")  # whether this processor gains by it
LANE = 8
LONG = 256  # numbers in a sum; with fewer, a product gains less than it takes to turn its result back


def is_turned(width: int, length: int) -> bool:
    """Whether a product is turned round whose result has that width, and whose sums that length."""
    return TURNS and width % LANE != 0 and length >= LONG


def product(x: Tensor, weight: Tensor) -> Tensor:
    """x W of x (B, k), W (k, m) on a CPU, turned round where that is faster; in bfloat16 it never is."""
    turned = x.dtype != torch.bfloat16 and is_turned(weight.shape[1], weight.shape[0])
    return (weight.t() @ x.t()).t() if turned else x @ weight


def gains(layer: nn.Linear) -> bool:
    """Whether a product of a layer's forward or backward pass is turned round."""
    width_in, width_out = layer.in_features, layer.out_features
    return is_turned(width_out, width_in) or is_turned(width_in, width_out)


def linear(layer: nn.Linear, x: Tensor) -> Tensor:
    """What ``layer(x)`` is up to rounding, x (..., in) -> (..., out), by products that may be turned round.

    On a GPU, and in bfloat16, it is the layer's own forward pass: the kernels there have no slow width.
    """
    if x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return nn.Linear.forward(layer, x)
    return _Linear.apply(x.reshape(-1, x.shape[-1]), layer.weight, layer.bias).view(*x.shape[:-1], -1)


class _Linear(torch.autograd.Function):
    """x W^T [+ b] of x (B, in), W (out, in), b (out,)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        if not is_turned(*weight.shape):
            return nn.functional.linear(x, weight, bias)
        turned = weight @ x.t() if bias is None else torch.addmm(bias.unsqueeze(1), weight, x.t())
        return turned.t().contiguous()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        width_out, width_in = weight.shape
        grad_x = grad_weight = grad_bias = None
        if ctx.needs_input_grad[0]:
            grad_x = product(grad, weight).contiguous()
        if ctx.needs_input_grad[1]:
            turned = width_in % LANE != 0 and width_out % LANE == 0
            grad_weight = (x.t() @ grad).t() if turned else grad.t() @ x
        if ctx.needs_input_grad[2]:
            grad_bias = grad.sum(0)
        return grad_x, grad_weight, grad_bias
