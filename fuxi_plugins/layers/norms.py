"""RMSNorm: division by the root mean square, with a gain and without mean removal or bias."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Field embeddings start at a standard deviation of 1e-4, so their mean square is about 1e-8: the usual eps of
# 1e-5 or 1e-6 would outweigh it and leave the tokens near zero.
EPS = 1e-12


def rms_norm(x: Tensor, gain: Tensor) -> Tensor:
    """gain * x / sqrt(mean(x^2) + eps), the mean over the last axis.

    x (..., m); gain (m,), or anything that broadcasts against x, as (T, 1, m) against (T, B, m).

    >>> rms_norm(torch.tensor([3.0, -3.0]), torch.ones(2))
    tensor([ 1., -1.])
    """
    return F.rms_norm(x, (x.shape[-1],), eps=EPS) * gain


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
