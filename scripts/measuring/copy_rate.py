"""How fast memory is copied. On a virtual machine this changes within minutes, and every other figure with it."""

from dataclasses import dataclass

import torch

from measuring.clock import fastest

LIMIT = 1 / 3  # of the slower rate, by which it may move while something is measured


def copy_rate(device: torch.device) -> float:
    """10^9 bytes a second, read and written, of a copy that fits no cache."""
    source = torch.ones((1 << 30 if device.type == "cuda" else 1 << 27) // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), device, repeats=5) / 1e9


@dataclass(frozen=True)
class CopyRates:
    """The copy rate before and after a measurement, in 10^9 bytes a second."""

    before: float
    after: float

    @property
    def moved(self) -> bool:
        """Whether the rate moved by more than a third, so that what was measured meanwhile is no figure."""
        low, high = sorted((self.before, self.after))
        return high > low * (1 + LIMIT)

    def __str__(self) -> str:
        return f"memory copied at {self.before:.1f} GB/s before and {self.after:.1f} GB/s after"
