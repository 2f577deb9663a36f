"""The models against FuxiCTR's own zoo, with its weights: equal numbers of parameters, equal predictions.

The zoo is no part of the installed FuxiCTR; the environment variable FUXICTR_CHECKOUT names a checkout of
https://github.com/reczoo/FuxiCTR to compare with, else these tests are skipped.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")

pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")

# Where the file of a class is, if not in <name>/src/<name>.py.
FILES = {
    "DNN": "DNN/DNN_torch/src/DNN.py",
    "DeepFM": "DeepFM/DeepFM_torch/src/DeepFM.py",
    "DualMLP": "FinalMLP/src/DualMLP.py",
    "ONN": "ONN/ONN_torch/src/ONN.py",
    "WideDeep": "WideDeep/WideDeep_torch/src/WideDeep.py",
}

DEEP = {"hidden_units": [8, 6], "hidden_activations": ["relu", "tanh"], "batch_norm": True, "net_dropout": 0.1}

DCN_WIDTHS = {"stacked_dnn_hidden_units": [8], "parallel_dnn_hidden_units": [6]}

CASES = [
    ("AFM", {}),
    ("AFM", {"attention_dim": 4, "attention_dropout": [0.1, 0.2]}),
    ("AutoInt", {}),
    ("AutoInt", {"num_heads": 2, "attention_dim": 4, "attention_layers": 2, "layer_norm": True, "use_residual": False}),
    ("AutoInt", {"dnn_hidden_units": [8], "use_wide": True, "use_scale": True, "batch_norm": True}),
    ("CCPM", {}),
    ("CCPM", {"channels": [3, 2], "kernel_heights": [2, 3], "activation": "Sigmoid"}),
    *(
        ("DCNv2", {"model_structure": structure, **DCN_WIDTHS, "num_cross_layers": 2})
        for structure in ("parallel", "stacked", "crossnet_only", "stacked_parallel")
    ),
    ("DCNv2", {"use_low_rank_mixture": True, "low_rank": 3, "num_experts": 2, "batch_norm": True, **DCN_WIDTHS}),
    ("DLRM", {}),
    ("DLRM", {"interaction_op": "cat", "bottom_mlp_units": [8], "top_mlp_units": [6, 4], "batch_norm": True}),
    ("DLRM", {"bottom_mlp_activations": "Tanh", "bottom_mlp_dropout": 0.1, "top_mlp_dropout": 0.1}),
    ("DNN", {}),
    ("DNN", DEEP),
    ("DSSM", {}),
    ("DSSM", {"user_tower_units": [8, 6], "item_tower_units": [5, 7, 6], "batch_norm": True}),
    ("DSSM", {"user_tower_units": [4], "item_tower_units": [8, 4], "user_tower_activations": "Tanh"}),
    ("DeepCrossing", {}),
    ("DeepCrossing", {"residual_blocks": [8, 6], "hidden_activations": ["relu", "tanh"], "batch_norm": True}),
    ("DeepCrossing", {"residual_blocks": [8], "use_residual": False, "net_dropout": 0.1}),
    ("DeepFM", {}),
    ("DeepFM", DEEP),
    ("DeepIM", {}),
    ("DeepIM", {"im_order": 3, "net_dropout": 0.1}),
    ("DeepIM", {"im_order": 5, "im_batch_norm": True, "hidden_units": [8], "net_batch_norm": True}),
    ("DualMLP", {}),
    ("DualMLP", {"mlp1_hidden_units": [8], "mlp2_batch_norm": True, "mlp2_hidden_activations": "Tanh"}),
    ("FFM", {}),
    ("FFM", {"embedding_dim": 3}),
    ("FM", {}),
    ("FmFM", {}),
    ("FmFM", {"field_interaction_type": "vectorized"}),
    ("FwFM", {}),
    ("FwFM", {"linear_type": "LW"}),
    ("FwFM", {"linear_type": "FeLV"}),
    ("HFM", {}),
    ("HFM", {"interaction_type": "circular_correlation", "embedding_dim": 5, **DEEP}),
    ("HFM", {"interaction_type": "circular_correlation", "use_dnn": False}),
    ("HFM", {"interaction_type": "hadamard_product", "use_dnn": False}),
    ("HOFM", {}),
    ("HOFM", {"order": 4, "embedding_dim": [3, 4, 5]}),
    ("HOFM", {"order": 5, "reuse_embedding": True}),
    ("HOFM", {"order": 2}),
    ("LR", {}),
    ("LorentzFM", {}),
    ("NFM", {}),
    ("NFM", DEEP),
    ("ONN", {}),
    ("ONN", {"embedding_dim": 3, **DEEP}),
    ("PNN", {}),
    ("PNN", DEEP),
    ("WideDeep", {}),
    ("WideDeep", DEEP),
    ("xDeepFM", {"dnn_hidden_units": [8]}),
    ("xDeepFM", {"dnn_hidden_units": [], "cin_hidden_units": [4, 3]}),
]


def zoo_class(name: str) -> type:
    """The zoo's class, its file loaded under a name of its own: the checkout would shadow the installed FuxiCTR."""
    path = Path(CHECKOUT) / "model_zoo" / FILES.get(name, f"{name}/src/{name}.py")
    module_name = f"_reference_zoo_{name}"
    if module_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(module_name, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[module_name] = module
    return getattr(sys.modules[module_name], name)


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """By name, each once. The zoo keeps masks as parameters too, and nests the layers of CCPM one deeper."""
    return {
        name.replace("conv_layer.conv_layer", "conv_layer"): parameter
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


def load_reference_weights(model: nn.Module, reference: nn.Module) -> None:
    """By name, which must be equal but for the numbers of CCPM's layers; the zoo pads in a layer of its own."""
    ours, theirs = trainable(model), trainable(reference)
    if type(reference).__name__ == "CCPM":
        theirs = dict(zip(sorted(ours), (theirs[name] for name in sorted(theirs)), strict=True))
    assert ours.keys() == theirs.keys()
    with torch.no_grad():
        for name, parameter in ours.items():
            assert parameter.shape == theirs[name].shape, name
            parameter.copy_(theirs[name])


def move_off_the_start(model: nn.Module) -> None:
    """Gives every trainable parameter noise, and leaves the masks as they are; padding stays zero."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.add_(0.2 * torch.randn_like(parameter))
        for module in model.modules():
            if isinstance(module, nn.Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx].zero_()


def predictions(model: nn.Module, batch: dict, training: bool) -> torch.Tensor:
    torch.manual_seed(2)  # for dropout
    with torch.no_grad():
        return model.train(training)(batch)["y_pred"]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_it_is_the_zoos_model(name, settings):
    reference = tiny.build(zoo_class(name), **settings)
    move_off_the_start(reference)
    model = tiny.build(load_model_class(name), **settings)
    load_reference_weights(model, reference)
    batch = tiny.columns(32)

    count = sum(parameter.numel() for parameter in trainable(model).values())
    assert count == sum(parameter.numel() for parameter in trainable(reference).values())
    for training in (True, False):  # BatchNorm by the batch first, then by what it saw
        ours, theirs = (predictions(either, batch, training) for either in (model, reference))
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
