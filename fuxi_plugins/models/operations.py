"""Floating-point operations of a model's forward pass, counted while it runs."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode, flop_registry


def operations(model: Any, batch: Mapping[str, Tensor]) -> tuple[float, float]:
    """Floating-point operations of a forward pass, and their coverage.

    torch counts products of matrices and convolutions, a multiplication and an addition apart. Every other operation
    is taken to cost one for each value that it writes; the coverage is the counted share of the sum.
    """
    model.eval()
    others = OtherValues()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, others:
        model.forward(batch)
    counted = counter.get_total_flops()
    return float(counted + others.values), counted / max(1, counted + others.values)


class OtherValues(TorchDispatchMode):
    """Counts the values that operations without a formula write; views write none."""

    def __init__(self) -> None:
        super().__init__()
        self.values = 0

    def __torch_dispatch__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        results = function(*args, **(kwargs or {}))
        if function.overloadpacket not in flop_registry and not function.is_view:
            listed = results if isinstance(results, tuple | list) else (results,)
            self.values += sum(result.numel() for result in listed if isinstance(result, Tensor))
        return results
