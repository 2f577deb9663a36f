"""Ways to train that compute something else than FuxiCTR does, each asked for by a setting and told on the board."""

from typing import Any

import torch
from torch import Tensor, nn


class InBfloat16:
    """Mixed in front of a model class: ``amp: bf16``.

    Matrix products of the forward pass and their gradients are bfloat16. Weights, their updates, the output
    activation and the loss stay float32; predictions still carry the 8 bits of the last layer's result.
    """

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if not isinstance(self.output_activation, InFloat32):
            self.output_activation = InFloat32(self.output_activation)
        with torch.autocast(self.device.type, torch.bfloat16):
            return super().forward(inputs)


class InFloat32(nn.Module):
    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.float())


class Compiled:
    """Mixed in front of a model class: ``compile: true``. The first steps take up to minutes more."""

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        if "_compiled" not in self.__dict__:
            self.__dict__["_compiled"] = torch.compile(
                super().forward
            )  # not a submodule: the checkpoint is the model's
        return self._compiled(inputs)


def mixins(training: Any) -> tuple[type, ...]:
    """Those that a run's training settings ask for."""
    return (*((Compiled,) if training.compile else ()), *((InBfloat16,) if training.amp == "bf16" else ()))


def departures(training: Any) -> list[str]:
    """The same in words, for the record."""
    said = ["amp=bf16: matrix products in bfloat16"] if training.amp == "bf16" else []
    return said + (["compile: the forward pass went through torch.compile"] if training.compile else [])
