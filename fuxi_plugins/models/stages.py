"""Where a model's representations can be read: named points in order of depth, for forward hooks.

A model that has such points says so by a method ``stages()``, name -> point. A point is a module, read by its
output, or the input of a module, where the value wanted has no module of its own.
"""

from dataclasses import dataclass

from fuxictr.pytorch.layers import MLP_Block
from torch import nn


@dataclass(frozen=True)
class InputOf:
    """The point just before a module."""

    module: nn.Module


Point = nn.Module | InputOf


def deep_layers(block: MLP_Block, prefix: str = "deep") -> dict[str, Point]:
    """The hidden layers of FuxiCTR's MLP after their activations, (B, width) each."""
    linears = [layer for layer in block.mlp if isinstance(layer, nn.Linear)]
    points: list[Point] = [InputOf(linear) for linear in linears[1:]]
    if not isinstance(block.mlp[-1], nn.Linear):  # no output layer: the last hidden layer is the output
        points.append(block)
    return {f"{prefix}_{depth}": point for depth, point in enumerate(points, start=1)}
