"""A training that leaves the finite numbers, found before torch's loss refuses it.

torch's binary cross entropy refuses predictions that are not numbers: on a CPU by an error of its own, on a GPU by an
assertion that is reported later, somewhere else, and after which the process can use the GPU no more. Here such a
prediction makes the loss NaN instead. The loss stays on the device, where sums of it are looked at now and then.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

Loss = Callable[..., Tensor]  # of predictions and labels, as torch's functions

STEPS_BETWEEN_LOOKS = 200  # on a GPU, where a look waits for all steps before it


def may_be_nan(loss: Loss) -> Loss:
    """The loss, which is NaN where predictions are not finite; of finite ones loss and gradient are the same bits."""

    @wraps(loss)
    def guarded(predicted: Tensor, *rest: Any, **settings: Any) -> Tensor:
        finite = predicted.isfinite()
        found = loss(predicted.where(finite, 0.5), *rest, **settings)
        return found.masked_fill(~finite if found.shape == finite.shape else ~finite.all(), torch.nan)

    return guarded


def is_time_to_look(step: int, device: torch.device) -> bool:
    """Whether the loss is read after this step, counted from 1: after each on a CPU, where that costs nothing."""
    return device.type == "cpu" or step % STEPS_BETWEEN_LOOKS == 0
