"""Equal weights, equal predictions: more models against the model zoo of a FuxiCTR checkout.

The zoo is in no package. Where ``FUXICTR_CHECKOUT`` names a checkout of reczoo/FuxiCTR, these tests run.
"""

import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.registry import load_model_class
from tests.models import tiny

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")

FOLDERS = {"PPNet": "PEPNet", "APG_DCNv2": "APG", "APG_DeepFM": "APG"}

WIDTHS = {"hidden_units": [8, 6]}
PRIOR = {"gate_priors": ["item"]}
PLAIN = {"overparam_p": None, "rank_k": 4}
BY_FEATURES = {"condition_mode": "mix-wise", "condition_features": ["user", "item", "price"]}
PARALLEL = {"parallel_dnn_hidden_units": [8, 6]}
HYPERNET = {"hypernet_config": {"hidden_units": [5], "hidden_activations": "Tanh", "dropout_rates": 0.1}}

CASES = [
    ("PPNet", {"gate_priors": ["user", "item"]}),
    ("PPNet", {"gate_priors": ["history", "price"], "gate_emb_dim": 3, "gate_hidden_dim": 5, **WIDTHS}),
    ("PPNet", {"batch_norm": True, "net_dropout": 0.1, "hidden_activations": ["Tanh", "Sigmoid"], **PRIOR, **WIDTHS}),
    ("APG_DeepFM", {"rank_k": [4, 3], "overparam_p": [8, 8], **WIDTHS}),
    ("APG_DeepFM", {"generate_bias": False, "hidden_activations": ["Dice", "Tanh"], **PLAIN, **WIDTHS}),
    ("APG_DeepFM", {"rank_k": None, "overparam_p": None, **BY_FEATURES, **WIDTHS, **HYPERNET}),
    ("APG_DCNv2", {"new_condition_emb": True, "batch_norm": True, **PLAIN, **BY_FEATURES, **PARALLEL}),
    ("APG_DCNv2", {"model_structure": "stacked", "stacked_dnn_hidden_units": [8], "net_dropout": 0.1, **PLAIN}),
    ("APG_DCNv2", {"use_low_rank_mixture": True, "low_rank": 3, "num_experts": 2, **PLAIN, **PARALLEL, **HYPERNET}),
]

# Their names -> ours, as patterns.
RENAMED = {
    "PPNet": [
        (r"^gate_embed_layer\.", "prior_embedding.embedding_layer."),
        (r"^ppn\.mlp_layers\.\d+\.(weight|bias)$", r"fc.\1"),
        (r"^ppn\.mlp_layers\.", "layers."),
        (r"^ppn\.gate_layers\.(\d+)\.gate\.0\.", r"gates.\1.hidden."),
        (r"^ppn\.gate_layers\.(\d+)\.gate\.2\.", r"gates.\1.output."),
    ],
    "APG": [
        (r"^condition_emb_layer\.", "condition.own.embedding_layer."),
        (r"^mlp\.dense_layers\.out_proj\.", "fc."),
        (r"\.U(_l)?$", ".left.0"),
        (r"\.U_r$", ".left.1"),
        (r"\.V(_l)?$", ".right.0"),
        (r"\.V_r$", ".right.1"),
        (r"\.dense_layers\.linear_1\.", ".generated.0."),
        (r"\.dense_layers\.linear_2\.", ".generated.1."),
        (r"\.dense_layers\.bn_1\.", ".after.0.0."),
        (r"\.dense_layers\.bn_2\.", ".after.1.0."),
        (r"\.dense_layers\.act_1\.", ".after.0.1."),
        (r"\.dense_layers\.act_2\.", ".after.1.1."),
    ],
}


def zoo_class(name: str) -> type:
    """The zoo's class; its folder becomes a package of another name, which the checkout's own would shadow."""
    folder = FOLDERS.get(name, name)
    package = f"_reference_zoo_{folder}"
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(Path(CHECKOUT) / "model_zoo" / folder / "src")]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return getattr(importlib.import_module(f"{package}.{name}"), name)


def load_reference_weights(model: nn.Module, reference: nn.Module, name: str) -> None:
    """By name; every weight of ours must come from theirs and every one of theirs must have its place."""
    ours = model.state_dict()
    theirs = {our_name(key, name): value for key, value in reference.state_dict().items()}
    assert theirs.keys() == ours.keys()
    model.load_state_dict({key: value.view_as(ours[key]) for key, value in theirs.items()})


def our_name(theirs: str, name: str) -> str:
    for pattern, ours in RENAMED.get(FOLDERS.get(name, name), RENAMED.get(name, [])):
        theirs = re.sub(pattern, ours, theirs)
    return theirs


def predictions(model: nn.Module, batch: dict, training: bool) -> Tensor:
    torch.manual_seed(2)  # for dropout
    with torch.no_grad():
        return model.train(training)(batch)["y_pred"]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_it_is_the_zoos_model(name, settings):
    reference = tiny.build(zoo_class(name), **settings)
    tiny.randomize(reference, 0.2)
    model = tiny.build(load_model_class(name), **settings)
    load_reference_weights(model, reference, name)
    batch = tiny.columns(32)
    for training in (True, False):  # BatchNorm by the batch first, then by what it saw
        ours, theirs = (predictions(either, batch, training) for either in (model, reference))
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
