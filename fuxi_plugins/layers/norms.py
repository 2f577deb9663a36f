"""Norms of the last axis: RMSNorm, which has a gain and neither removes the mean nor adds a bias, and LayerNorm.

In mixed precision both compute in the type of their gain and give the type they were given.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# Field embeddings start at a standard deviation of 1e-4, so their mean square is about 1e-8: the usual eps of
# 1e-5 or 1e-6 would outweigh it and leave the tokens near zero.
EPS = 1e-12


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    """gain * x / sqrt(mean(x^2) + eps), the mean over the last axis.

    x (..., m); gain (m,), or anything that broadcasts against x, as (T, 1, m) against (T, B, m). The result is of x's
    type. Where x is of less precision than the gain, as in mixed precision, the norm is computed in the gain's type.

    A vector of zeros, as the token of an empty history, stays zero and gets no gradient. By the formula its gradient
    would be multiplied by 1 / sqrt(eps), a million, at every norm in a row; four of them overflow float32, the norm
    of all gradients is infinite, and clipping to it stops the training of everything.

    >>> rms_norm(torch.tensor([3.0, -3.0]), torch.ones(2)).round(decimals=3)
    tensor([ 1., -1.])
    """
    wide = x.to(gain.dtype)
    by_hand = (
        x.device.type == "cpu" and not torch.compiler.is_compiling()
    )  # a compiler fuses better what it can see into
    normed = _RMSNormOnCPU.apply(wide, gain) if by_hand else rms_norm_by_torch(wide, gain)
    return normed.to(x.dtype)


def rms_norm_by_torch(x: Tensor, gain: Tensor) -> Tensor:
    """:func:`rms_norm` by torch's own kernel."""
    is_zero = (x == 0).all(dim=-1, keepdim=True)
    return F.rms_norm(torch.where(is_zero, x.detach(), x), (x.shape[-1],), eps=EPS) * gain


class _RMSNormOnCPU(torch.autograd.Function):
    """The same with its gradient written out, in few passes over memory, which is what bounds a norm on a CPU.

    Torch has a fused kernel there for LayerNorm's gradient alone. With a mean of zero and our scale it gives
    s (h - mean(h)) - s^3 x mean(h x) along each row, where s is the inverse root mean square and h = gain * grad. That
    is RMSNorm's gradient but for s mean(h), which is added.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        is_zero = norm == 0
        inverse_rms = norm.square_().div_(x.shape[-1]).add_(EPS).rsqrt_().masked_fill_(is_zero, 0.0)
        ctx.save_for_backward(x, inverse_rms, gain)
        out = x * inverse_rms
        return out.mul_(gain) if gain.numel() == x.shape[-1] else out * gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        x, inverse_rms, gain = ctx.saved_tensors
        if gain.numel() != x.shape[-1]:
            return _by_hand(grad, x * inverse_rms, inverse_rms, gain)
        flat_gain, shape = gain.reshape(-1), x.shape[-1:]
        grad_x, grad_gain, _ = torch.ops.aten.native_layer_norm_backward(
            grad.contiguous(), x.contiguous(), shape, torch.zeros_like(inverse_rms), inverse_rms, flat_gain, None,
            [True, True, False],
        )  # fmt: skip
        mean = (grad @ flat_gain).unsqueeze(-1).mul_(inverse_rms).div_(x.shape[-1])
        return grad_x.add_(mean), grad_gain.view_as(gain)


def _by_hand(grad: Tensor, normed: Tensor, inverse_rms: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """RMSNorm's gradients, for a gain of any shape."""
    product = grad * normed
    along_x = (product * gain).mean(dim=-1, keepdim=True)  # the part of grad that would only lengthen x
    grad_x = (grad * gain).addcmul_(normed, along_x, value=-1).mul_(inverse_rms)
    return grad_x, product.sum_to_size(gain.shape)


class RMSNorm(nn.Module):
    """RMSNorm over the last axis, (..., m) -> (..., m); the gain starts at 1.

    Paper: Zhang and Sennrich, Root Mean Square Layer Normalization, NeurIPS 2019.
    """

    def __init__(self, width: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.gain)

    def extra_repr(self) -> str:
        return str(self.gain.numel())


class LayerNorm(nn.LayerNorm):
    """torch's, whose kernels for a CPU take twice as long in bfloat16 as in float32 with both conversions."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.to(self.weight.dtype)).to(x.dtype)
