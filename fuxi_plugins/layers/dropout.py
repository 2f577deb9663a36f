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
        dropped = round(self.p * 2**BITS)
        if torch.compiler.is_compiling():
            # A compiler cannot see into numpy, so it is given the bits as one operator, and fuses the rest.
            return x * ((bits_for(x.detach()) >= threshold(dropped)).to(x.dtype) / (1 - dropped / 2**BITS))
        return x * keep_mask(x.detach(), dropped)


def threshold(dropped: int) -> int:
    """``dropped`` of the 2**BITS values of an int16 lie below it."""
    return dropped - 2 ** (BITS - 1)


def random_bits(count: int) -> Tensor:
    """Uniform int16 values (count,)."""
    seed = int(torch.randint(2**62, ()))
    words = np.random.SFC64(seed).random_raw(-(-count * BITS // 64))  # uint64
    return torch.from_numpy(words.view(np.int16))[:count]


def keep_mask(x: Tensor, dropped: int) -> Tensor:
    """Of x's shape and dtype: 0 for ``dropped`` of 2**BITS equally likely values, else what keeps the mean of x."""
    mask, kept = torch.empty_like(x), torch.ones((), dtype=x.dtype).div_(1 - dropped / 2**BITS)
    keep_or_drop(as_whole_numbers(mask), dropped).mul_(as_whole_numbers(kept))
    return mask


def as_whole_numbers(values: Tensor) -> Tensor:
    """bfloat16 as the whole numbers of the same 16 bits, else the values themselves.

    Multiplied by 0 or 1 they give the same bits, and they are above 0 where the bfloat16 is. On them torch is faster:
    for bfloat16 it goes through float32 and back.
    """
    return values.view(torch.int16) if values.dtype == torch.bfloat16 else values


def keep_or_drop(mask: Tensor, dropped: int) -> Tensor:
    """Fills the mask with ones, and with 0 for ``dropped`` of 2**BITS equally likely values."""
    drawn = random_bits(mask.numel()).view_as(mask)
    return mask.copy_(torch.ge(drawn, threshold(dropped), out=drawn))  # compared in one type, which is far faster


def drop_(values: Tensor, dropped: int, buffer: Tensor) -> None:
    """Sets ``dropped`` of 2**BITS equally likely values to 0, in place, by the draws of :func:`keep_or_drop`.

    The buffer is of the values' shape and type.
    """
    drawn, whole = random_bits(values.numel()).view_as(values), as_whole_numbers(values)
    # The gradient of a threshold passes one tensor where another lies above it. It is fast for tensors of one type.
    compared = drawn if whole.dtype == drawn.dtype else buffer.copy_(drawn)
    torch.ops.aten.threshold_backward.grad_input(whole, compared, threshold(dropped) - 1, grad_input=whole)


def _bits_for(x: Tensor) -> Tensor:
    """:func:`random_bits` in x's shape."""
    return random_bits(x.numel()).view(x.shape)


# Its draws come from torch's generator, so a compiler must not drop, merge or reorder its calls.
bits_for = torch.library.custom_op(
    "fuxibench::random_bits", _bits_for, mutates_args=(), tags=(torch.Tag.nondeterministic_seeded,)
)
bits_for.register_fake(lambda x: torch.empty(x.shape, dtype=torch.int16, device=x.device))
