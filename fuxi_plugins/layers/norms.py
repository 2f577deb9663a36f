"""RMSNorm: division by the root mean square, with a gain, without mean removal or bias."""

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

    x (..., m); gain (m,), or anything that broadcasts against x, as (T, 1, m) against (T, B, m).

    A vector of zeros, as the token of an empty history, stays zero and gets no gradient. By the formula its gradient
    would be multiplied by 1 / sqrt(eps), a million, at every norm in a row; four of them overflow float32, the norm
    of all gradients is infinite, and clipping to it stops the training of everything.

    >>> rms_norm(torch.tensor([3.0, -3.0]), torch.ones(2)).round(decimals=3)
    tensor([ 1., -1.])
    """
    by_hand = (
        x.device.type == "cpu" and not torch.compiler.is_compiling()
    )  # a compiler fuses better what it can see into
    return _RMSNormOnCPU.apply(x, gain) if by_hand else rms_norm_by_torch(x, gain)


def rms_norm_by_torch(x: Tensor, gain: Tensor) -> Tensor:
    """:func:`rms_norm` by torch's own kernel."""
    is_zero = (x == 0).all(dim=-1, keepdim=True)
    return F.rms_norm(torch.where(is_zero, x.detach(), x), (x.shape[-1],), eps=EPS) * gain


class _RMSNormOnCPU(torch.autograd.Function):
    """The same with its gradient written out.

    On a CPU the norm is bound by memory, and torch has no fused kernel there: left to autograd, its backward
    passes over x twice as often and keeps x beside the normed x.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, gain: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        is_zero = norm == 0
        inverse_rms = norm.square_().div_(x.shape[-1]).add_(EPS).rsqrt_().masked_fill_(is_zero, 0.0)
        normed = x * inverse_rms
        ctx.save_for_backward(normed, inverse_rms, gain)
        return normed * gain

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        normed, inverse_rms, gain = ctx.saved_tensors
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
