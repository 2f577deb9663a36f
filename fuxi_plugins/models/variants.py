"""Named variants: models of the literature that are one of our classes with some settings fixed.

An experiment asks for one by ``display_name: CrossNet``; its class is then implied, and the settings that make the
variant what it is cannot be set to anything else. A display_name of any other name is only a row's name on a board.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fuxi_plugins.core.errors import UserError


@dataclass(frozen=True)
class Variant:
    """A class under another name: ``model`` with ``fixed`` settings; ``summary`` is one sentence."""

    model: str
    summary: str
    fixed: Mapping[str, Any] = field(default_factory=dict)


VARIANTS = {
    "AFN+": Variant("AFN", "AFN+ is AFN with an MLP of its own embeddings beside it.", {"ensemble_dnn": True}),
    "AutoInt+": Variant("AutoInt", "AutoInt+ is AutoInt with an MLP beside the attention."),
    "CIN": Variant("xDeepFM", "CIN is xDeepFM without its MLP.", {"dnn_hidden_units": []}),
    "CrossNet": Variant("DCN", "CrossNet is DCN without its MLP.", {"dnn_hidden_units": []}),
    "CrossNetV2": Variant(
        "DCNv2",
        "CrossNetV2 is the cross network of DCNv2 with full matrices and no MLP.",
        {"model_structure": "crossnet_only", "use_low_rank_mixture": False},
    ),
    "DCN-Mix": Variant(
        "DCNv2",
        "DCN-Mix is DCNv2 with a mixture of low-rank experts in each cross layer.",
        {"use_low_rank_mixture": True},
    ),
    "ECN": Variant(
        "DCNv3", "ECN is the deep, exponential cross network of DCNv3 alone.", {"num_shallow_cross_layers": 0}
    ),
    "FinalNet_1B": Variant("FinalNet", "FinalNet_1B is FinalNet with one block.", {"block_type": "1B"}),
    "FinalNet_2B": Variant("FinalNet", "FinalNet_2B is FinalNet with two blocks.", {"block_type": "2B"}),
    "GDCN-P": Variant("GDCN", "GDCN-P is GDCN with the MLP beside the gated crosses.", {"model_structure": "parallel"}),
    "GDCN-S": Variant("GDCN", "GDCN-S is GDCN with the MLP after the gated crosses.", {"model_structure": "stacked"}),
    "HFM+": Variant("HFM", "HFM+ is HFM with an MLP over the convolved pairs.", {"use_dnn": True}),
    "IPNN": Variant("PNN", "IPNN is PNN with inner products.", {"product_type": "inner"}),
    "LCN": Variant("DCNv3", "LCN is the shallow, linear cross network of DCNv3 alone.", {"num_deep_cross_layers": 0}),
    "OPNN": Variant("PNN", "OPNN is PNN with outer products.", {"product_type": "outer"}),
    "ParallelMaskNet": Variant(
        "MaskNet", "ParallelMaskNet is MaskNet with its blocks side by side.", {"model_type": "ParallelMaskNet"}
    ),
    "SerialMaskNet": Variant(
        "MaskNet", "SerialMaskNet is MaskNet with its blocks in a row.", {"model_type": "SerialMaskNet"}
    ),
    "UniMixing-Lite": Variant(
        "UniMixer",
        "UniMixing-Lite is UniMixer with matrices of shared bases and of low rank.",
        {"mixing": "lite"},
    ),
}


def apply_variant(display_name: str | None, settings: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of an experiment with those of its variant added, ``model`` among them.

    Raises:
        UserError: the experiment sets something else than its variant fixes.
    """
    variant = VARIANTS.get(display_name) if display_name else None
    if variant is None:
        return dict(settings)
    for name, value in {"model": variant.model, **variant.fixed}.items():
        if name in settings and settings[name] != value:
            raise UserError(
                f"{where}: {display_name} is {variant.model} with {name}: {value!r}, but {name} is set to "
                f"{settings[name]!r}; leave it out, or give the experiment another display_name."
            )
    return {**variant.fixed, **settings, "model": variant.model}


def model_of(name: str) -> str:
    """The class of a variant, or the model of that name itself."""
    return VARIANTS[name].model if name in VARIANTS else name


def naming(name: str) -> dict[str, str]:
    """The line of an experiment's file that asks for a variant or a model."""
    return {"display_name": name} if name in VARIANTS else {"model": name}
