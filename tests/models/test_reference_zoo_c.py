"""Equal weights, equal predictions: more models against the model zoo of a FuxiCTR checkout.

The zoo is in no package. Where ``FUXICTR_CHECKOUT`` names a checkout of reczoo/FuxiCTR, these tests run.
"""

import copy
import importlib
import importlib.machinery
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from fuxictr.features import FeatureMap
from torch import nn

from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny
from tests.models.test_reference_zoo_a import move_off_the_start, predictions

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")

FOLDERS = {"FFMv2": "FFM", "PPNet": "PEPNet", "APG_DCNv2": "APG", "APG_DeepFM": "APG"}

WIDTHS = {"hidden_units": [8, 6]}
PRIOR = {"gate_priors": ["item"]}
PLAIN = {"overparam_p": None, "rank_k": 4}
BY_FEATURES = {"condition_mode": "mix-wise", "condition_features": ["user", "item", "price"]}
PARALLEL = {"parallel_dnn_hidden_units": [8, 6]}
HYPERNET = {"hypernet_config": {"hidden_units": [5], "hidden_activations": "Tanh", "dropout_rates": 0.1}}
DNN = {"dnn_hidden_units": [8, 6]}
HISTORY = {"target_field": ["item"], "sequence_field": ["history"]}
ZOO_MASK = {"num_heads": 2, "refiner_mask": "fuxictr", **HISTORY}

# What the zoo's constructor needs beside our settings: its defaults name fields that only some data has.
THEIRS_ALONE = {"DMR": {"neg_seq_field": None, "context_field": None}, "DMIN": {"neg_seq_field": None}}
OURS_ALONE = ("refiner_mask",)
# What they keep and nothing reads, of which a softmax takes no notice, or which is a constant: ours may lack it.
WITHOUT_EFFECT = r".*\.triu_index|output_embedding\..*|.*\.score\.mlp\.mlp\.\d+\.bias"

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
    ("DMR", {**HISTORY}),
    ("DMR", {"enable_u2i_rel": False, "use_pos_emb": False, "dnn_activations": ["Dice", "Tanh"], **HISTORY, **DNN}),
    ("DMR", {"enable_i2i_rel": True, "enable_sum_pooling": True, "bn_only_once": True, "pos_emb_dim": 3, **HISTORY}),
    ("DMR", {"batch_norm": False, "net_dropout": 0.1, "attention_hidden_units": [6], **HISTORY, **DNN}),
    ("DMIN", {**ZOO_MASK}),
    ("DMIN", {"use_behavior_refiner": False, "use_pos_emb": False, "num_heads": 5, **HISTORY, **DNN}),
    ("DMIN", {"layer_norm": False, "enable_sum_pooling": True, "bn_only_once": True, "pos_emb_dim": 3, **ZOO_MASK}),
    ("DMIN", {"batch_norm": False, "attention_hidden_units": [6], "dnn_activations": "ReLU", **ZOO_MASK, **DNN}),
    ("FFMv2", {}),
    ("FFMv2", {"embedding_dim": 3}),
    ("FLEN", {}),
    ("FLEN", {"embedding_dim": 4, "batch_norm": True, "net_dropout": 0.1, **DNN}),
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
    "FLEN": [
        (r"^embedding_layer\.", "embedding_layer.embedding_layer."),
        (r"^r_ij\.", "between."),
        (r"^r_mm\.", "within."),
        (r"^w_FwBI\.0\.", "crosses."),
        (r"^w_F\.", "fc."),
    ],
    "DMR": [
        (r"^embedding_layer\.", "embedding_layer.embedding_dict."),
        (r"^output_emb_layer\.", "output_embedding."),
        (r"^(i2i|u2i)_net\.(\d+)\.pos_emb$", r"\1_nets.\2.positions.weight"),
        (r"^(i2i|u2i)_net\.(\d+)\.W_q\.0\.", r"\1_nets.\2.query."),
        (r"^(i2i|u2i)_net\.(\d+)\.W_o\.0\.", r"\1_nets.\2.output."),
        (r"^(i2i|u2i)_net\.(\d+)\.attn_mlp\.", r"\1_nets.\2.score.mlp."),
    ],
    "DMIN": [
        (r"^embedding_layer\.", "embedding_layer.embedding_dict."),
        (r"^behavior_refiner\.", "refiners."),
        (r"^multi_interest_extractor\.(\d+)\.W_qkv\.", r"interests.\1.queries_keys_values."),
        (r"^multi_interest_extractor\.(\d+)\.W_o\.(\d+)\.", r"interests.\1.heads.\2.output."),
        (r"^multi_interest_extractor\.(\d+)\.(layer_norm|ffn)\.(\d+)\.", r"interests.\1.heads.\3.\2."),
        (r"^multi_interest_extractor\.(\d+)\.target_attention\.(\d+)\.", r"interests.\1.heads.\2.pooling."),
        (r"\.pooling\.pos_emb$", ".pooling.positions.weight"),
        (r"\.pooling\.W_proj\.", ".pooling.query."),
        (r"\.pooling\.attn_mlp\.", ".pooling.score.mlp."),
    ],
}


def zoo_class(name: str) -> type:
    """The zoo's class; its folder becomes a package of another name, which the checkout's own would shadow."""
    folder = FOLDERS.get(name, name)
    package = f"_reference_package_{folder}"
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(Path(CHECKOUT) / "model_zoo" / folder / "src")]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return getattr(importlib.import_module(f"{package}.{name}"), name)


def their_map(name: str, feature_map: FeatureMap) -> FeatureMap:
    """The zoo takes a history one behaviour after the other only where the dataset's config does not pool it."""
    theirs = copy.deepcopy(feature_map)
    if name in THEIRS_ALONE:
        del theirs.features["history"]["feature_encoder"]
    return theirs


def load_reference_weights(model: nn.Module, reference: nn.Module, name: str) -> None:
    """By name; every weight of ours comes from theirs, and every one of theirs that has an effect has its place."""
    ours = model.state_dict()
    renamed = {our_name(key, name): value for key, value in reference.state_dict().items()}
    theirs = {key: value for key, value in renamed.items() if key in ours or not re.fullmatch(WITHOUT_EFFECT, key)}
    assert theirs.keys() == ours.keys()
    model.load_state_dict({key: value.view_as(ours[key]) for key, value in theirs.items()})


def our_name(theirs: str, name: str) -> str:
    for pattern, ours in RENAMED.get(FOLDERS.get(name, name), RENAMED.get(name, [])):
        theirs = re.sub(pattern, ours, theirs)
    return theirs


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_it_is_the_zoos_model(name, settings):
    their_settings = {key: value for key, value in settings.items() if key not in OURS_ALONE}
    feature_map = tiny.feature_map(settings.get("embedding_dim", 10))
    if name == "FLEN":  # the zoo's class cannot do without context
        feature_map.features["device"]["source"] = "context"
    reference = tiny.build(
        zoo_class(name), their_map(name, feature_map), **their_settings, **THEIRS_ALONE.get(name, {})
    )
    move_off_the_start(reference)
    model = tiny.build(load_model_class(name), feature_map, **settings)
    load_reference_weights(model, reference, name)
    batch = tiny.columns(32)
    batch["history"] = batch["history"].sort(dim=1).values  # padding first, as the zoo's classes need it
    for training in (True, False):  # BatchNorm by the batch first, then by what it saw
        ours, theirs = (predictions(either, batch, training) for either in (model, reference))
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
