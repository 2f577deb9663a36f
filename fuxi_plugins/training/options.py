"""Ways to train that compute something else than FuxiCTR does, each asked for by a setting and told on the board."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fuxi_plugins.experiments.training_settings import Training
from fuxi_plugins.layers.dropout import BITS, Dropout
from fuxi_plugins.training import compiling, weight_average
from fuxi_plugins.training.compiling import Compiled
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel

BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")  # by any of which a CPU multiplies faster in bfloat16


def without_bfloat16(asked: Iterable[Training]) -> list[str]:
    """What to say before runs on a CPU that ask for bfloat16 where it has no instructions for products in it."""
    capabilities = torch.cpu.get_capabilities()
    if any(capabilities.get(name) for name in BFLOAT16_INSTRUCTIONS):
        return []
    settings = {
        setting
        for training in asked
        for setting, wanted in {"amp: bf16": training.amp, "bf16_products: true": training.bf16_products}.items()
        if wanted
    }
    return [
        f"{setting}: this CPU has neither {' nor '.join(BFLOAT16_INSTRUCTIONS)} among its flags, so bfloat16 is likely "
        "slower here than float32; see docs/speed.md."
        for setting in sorted(settings)
    ]


class InBfloat16(FuxiCTRModel):
    """Mixed in front of a model class: ``amp: bf16``.

    Matrix products of the forward pass and their gradients are bfloat16. Weights, their updates, the output
    activation and the loss stay float32; predictions still carry the 8 bits of the last layer's result.
    """

    def __init__(self, *args: Any, **settings: Any):
        super().__init__(*args, **settings)
        self.output_activation = in_float32(self.output_activation)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16):
            return super().forward(inputs)


class InFloat32(nn.Module):
    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x.float())


def in_float32(activation: nn.Module) -> nn.Module:
    """The activation, or each of those of a model of several tasks."""
    if isinstance(activation, nn.ModuleList):
        return nn.ModuleList(InFloat32(each) for each in activation)
    return InFloat32(activation)


class QuickDropout(FuxiCTRModel):
    """Mixed in front of a model class: ``dropout_bits: 16``, our :class:`Dropout` in the place of torch's own modules.

    With ``amp: bf16`` it is there too: torch would draw a mask for longer than the products around it take.
    """

    def __init__(self, *args: Any, **settings: Any):
        super().__init__(*args, **settings)
        for parent in list(self.modules()):
            for name, child in parent.named_children():
                if type(child) is nn.Dropout:
                    setattr(parent, name, Dropout(child.p))


class UniformGains(FuxiCTRModel):
    """Mixed in front of a model class: ``batch_norm_gains: uniform``, BatchNorm's start in PyTorch up to 1.1.

    Gains of a half on average make logits smaller, by much where two networks are multiplied.
    """

    def reset_parameters(self) -> None:
        super().reset_parameters()
        norms = [
            module for module in self.modules() if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and module.affine
        ]
        if not norms:
            raise ValueError("batch_norm_gains: uniform needs a BatchNorm, and there is none with gains in the model")
        for norm in norms:
            nn.init.uniform_(norm.weight)


def mixins(training: Training) -> tuple[type[FuxiCTRModel], ...]:
    """Those that a run's training settings ask for."""
    asked: dict[type[FuxiCTRModel], bool] = {
        Compiled: training.compile,
        InBfloat16: training.amp == "bf16",
        QuickDropout: training.dropout_bits is not None or training.amp == "bf16",
        UniformGains: training.batch_norm_gains == "uniform",
    }
    averaging = weight_average.mixin(training)
    return (*([averaging] if averaging else []), *(mixin for mixin, wanted in asked.items() if wanted))


def deviations(training: Training) -> list[str]:
    """The same in words, for the record."""
    said: dict[type[FuxiCTRModel], str] = {
        Compiled: compiling.DEVIATION,
        InBfloat16: "amp=bf16: matrix products in bfloat16",
        QuickDropout: f"dropout_bits={BITS}: on a CPU, dropout's masks from {BITS} random bits a value",
        UniformGains: "batch_norm_gains=uniform: BatchNorm's gains started in U(0, 1), not at one",
    }
    averaging = [weight_average.deviation(training)] if training.weight_average else []
    return averaging + [said[mixin] for mixin in mixins(training) if mixin in said]
