"""Dropout whose mask costs little on a CPU."""

import numpy as np
import torch
from torch import Tensor, nn

BITS = 16  # of a draw; the rate is rounded to a multiple of 2**-16


class Dropout(nn.Dropout):
    """torch's dropout, with faster random numbers on a CPU.

    There torch draws one number after the other from a Mersenne twister, which for a wide layer takes longer than
    its matrix product. Here a mask comes from 16 raw bits a value of numpy's SFC64, which is seeded by one
    draw from torch's generator: ``torch.manual_seed`` still decides everything.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p in (0, 1) or x.device.type != "cpu":
            return super().forward(x)
        # A compiler cannot see into numpy, so it is given the mask as one operator.
        draw = keep_mask if torch.compiler.is_compiling() else _draw_mask
        return x * draw(x.detach(), round(self.p * 2**BITS))


def random_bits(count: int) -> Tensor:
    """Uniform int16 values (count,)."""
    seed = int(torch.randint(2**62, ()))
    words = np.random.SFC64(seed).random_raw(-(-count * BITS // 64))  # uint64
    return torch.from_numpy(words.view(np.int16))[:count]


def _draw_mask(x: Tensor, dropped: int) -> Tensor:
    """Of x's shape and dtype: 0 for ``dropped`` of 2**BITS equally likely values, else what keeps the mean of x."""
    mask = torch.empty_like(x)
    torch.ge(random_bits(x.numel()).view_as(x), dropped - 2 ** (BITS - 1), out=mask)
    return mask.div_(1 - dropped / 2**BITS)


# Its draws come from torch's generator, so a compiler must not drop, merge or reorder its calls.
keep_mask = torch.library.custom_op(
    "fuxibench::keep_mask", _draw_mask, mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
keep_mask.register_fake(lambda x, dropped: torch.empty_like(x))
