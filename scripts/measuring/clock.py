"""Seconds of a call, on a device that may work behind the caller's back."""

import time
from collections.abc import Callable

import torch

from fuxi_plugins.training.devices import synchronize


def seconds(call: Callable[[], object], device: torch.device) -> float:
    """How long a call takes, the device's work included."""
    synchronize(device)
    start = time.perf_counter()
    call()
    synchronize(device)
    return time.perf_counter() - start


def fastest(call: Callable[[], object], device: torch.device, repeats: int = 10) -> float:
    """Seconds of the fastest of some calls, the first left out."""
    call()
    return min(seconds(call, device) for _ in range(repeats))
