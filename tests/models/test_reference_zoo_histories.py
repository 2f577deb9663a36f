"""DIN, BST, DIEN and TransAct in FuxiCTR's form against its own zoo: equal weights, equal predictions.

The zoo is in no package. Where ``FUXICTR_CHECKOUT`` names a checkout of reczoo/FuxiCTR, these tests run.
"""

import copy
import os
import re

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.experiments.translation.table import AS_FUXICTR
from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny
from tests.models.test_reference_zoo_a import move_off_the_start, predictions
from tests.models.test_reference_zoo_c import zoo_class

CHECKOUT = os.environ.get("FUXICTR_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FUXICTR_CHECKOUT names no checkout of reczoo/FuxiCTR")

WIDTH = 10
OTHERS = 4 * WIDTH  # of the fields that are no history
FIELDS = {
    "DIN": {"din_target_field": ["item"], "din_sequence_field": ["history"]},
    "BST": {"bst_target_field": ["item"], "bst_sequence_field": ["history"]},
    "DIEN": {"dien_target_field": ["item"], "dien_sequence_field": ["history"]},
    "TransAct": {"target_item_field": ["item"], "sequence_item_field": ["history"]},
}
THEIRS_ALONE = {"DIEN": {"dien_neg_seq_field": [], "aux_loss_alpha": 0}}
DNN = {"dnn_hidden_units": [8, 6], "batch_norm": False}
SMALL = {"DIN": DNN, "BST": DNN, "DIEN": DNN, "TransAct": {"dcn_hidden_units": [8, 6], "dim_feedforward": 12}}
CASES = [
    ("DIN", {}),
    ("DIN", {"attention_hidden_units": [6], "attention_hidden_activations": "ReLU", "din_use_softmax": True}),
    ("BST", {}),
    ("BST", {"num_heads": 1, "stacked_transformer_layers": 2, "use_causal_mask": True, "seq_pooling_type": "sum"}),
    ("BST", {"use_position_emb": False, "layer_norm": False, "use_residual": False, "seq_pooling_type": "target"}),
    ("DIEN", {}),
    ("DIEN", {"gru_type": "AGRU", "attention_type": "din_attention", "attention_hidden_units": [6]}),
    ("DIEN", {"enable_sum_pooling": True, "batch_norm": True}),
    ("DIEN", {"gru_type": "GRU"}),
    ("DIEN", {"use_attention_softmax": False, "net_dropout": 0.1}),
    ("TransAct", {}),
    ("TransAct", {"mlp_hidden_units": [5], "first_k_cols": 3}),
    ("TransAct", {"concat_max_pool": False, "first_k_cols": 2, "num_heads": 2}),
    ("TransAct", {"transformer_layers": 2, "net_dropout": 0.1, "batch_norm": True}),
]
RENAMED = {  # theirs -> ours, as patterns
    "DIN": [(r"^embedding_layer\.", "embedding_layer.embedding_dict.")],
    "BST": [
        (r"^embedding_layer\.", "embedding_layer.embedding_dict."),
        (r"^transformer_encoders\.(\d+)\.", r"transformers.\1."),
        (r"\.transformer_blocks\.(\d+)\.", r".blocks.\1."),
        (r"\.layer_norm(\d)\.", r".norm_\1."),
    ],
    "DIEN": [
        (r"^embedding_layer\.", "embedding_layer.embedding_dict."),
        (r"^extraction_modules\.(\d+)\.", r"evolutions.\1.extraction."),
        (r"^attention_modules\.(\d+)\.W_kernel", r"evolutions.\1.score.linear.weight"),
        (r"^attention_modules\.(\d+)\.attn_mlp\.", r"evolutions.\1.score.mlp."),
        (r"^evolving_modules\.(\d+)\.gru_cell\.x2h\.", r"evolutions.\1.of_interest."),
        (r"^evolving_modules\.(\d+)\.gru_cell\.h2h\.", r"evolutions.\1.of_state."),
        (r"^evolving_modules\.(\d+)\.", r"evolutions.\1.evolution."),
    ],
    "TransAct": [
        (r"^embedding_layer\.", "embedding_layer.embedding_dict."),
        (r"^transformer_encoders\.(\d+)\.transformer_encoder\.", r"transformers.\1."),
        (r"^transformer_encoders\.(\d+)\.out_linear\.", r"pooled_maps.\1."),
        (r"^parallel_dnn\.", "dnn."),
    ],
}


def our_name(theirs: str, name: str) -> str:
    for pattern, ours in RENAMED[name]:
        theirs = re.sub(pattern, ours, theirs)
    return theirs


def load(model: nn.Module, theirs: dict[str, Tensor], _settings: dict) -> None:
    assert theirs.keys() == model.state_dict().keys()
    model.load_state_dict(theirs)


def load_dien(model: nn.Module, theirs: dict[str, Tensor], settings: dict) -> None:
    """Theirs lays the states before the fields; in AGRU it keeps an update gate that nothing reads."""
    if settings.get("gru_type") == "AGRU":
        theirs = {key: value[WIDTH:] if ".of_" in key else value for key, value in theirs.items()}
    found = theirs["dnn.mlp.0.weight"].shape[1] - OTHERS
    theirs["dnn.mlp.0.weight"] = theirs["dnn.mlp.0.weight"].roll(-found, dims=1)
    load(model, theirs, settings)


def load_transact(model: nn.Module, theirs: dict[str, Tensor], settings: dict) -> None:
    """Theirs has the last places in the order of time, and the last map within its MLP."""
    *_, last = sorted((key for key in theirs if re.fullmatch(r"mlp\.mlp\.\d+\.weight", key)), key=len)
    last = last.removesuffix(".weight")
    theirs |= {f"fc.{part}": theirs.pop(f"{last}.{part}") for part in ("weight", "bias")}
    places = range(settings.get("first_k_cols", 1))
    width = len(theirs["crossnet.cross_layers.0.weight"])
    order = torch.arange(width)
    spans = [order[OTHERS + 2 * WIDTH * place :][: 2 * WIDTH] for place in places]
    order = torch.cat([order[:OTHERS], *reversed(spans), order[OTHERS + 2 * WIDTH * len(spans) :]])
    ahead = "mlp.mlp.0.weight" if settings.get("mlp_hidden_units") else "fc.weight"
    for key, value in theirs.items():
        if key.startswith("crossnet"):
            theirs[key] = value[order][:, order] if value.dim() == 2 else value[order]
        elif key == "dnn.mlp.0.weight":
            theirs[key] = value[:, order]
        elif key == ahead:
            theirs[key] = torch.cat([value[:, order], value[:, width:]], dim=1)
    load(model, theirs, settings)


LOADS = {"DIEN": load_dien, "TransAct": load_transact}


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_in_fuxictrs_form_it_is_the_zoos_model(name, settings):
    feature_map = tiny.feature_map(WIDTH)
    theirs_map = copy.deepcopy(feature_map)
    del theirs_map.features["history"]["feature_encoder"]
    shared = {**SMALL[name], **FIELDS[name], **settings, "embedding_dim": WIDTH}
    reference = tiny.build(zoo_class(name), theirs_map, **shared, **THEIRS_ALONE.get(name, {}))
    move_off_the_start(reference)
    model = tiny.build(load_model_class(name), feature_map, **shared, **AS_FUXICTR.get(name, {}))
    theirs = {our_name(key, name): value.clone() for key, value in reference.state_dict().items()}
    LOADS.get(name, load)(model, theirs, settings)
    batch = tiny.columns(32)
    behind = name == "DIEN"  # the side on which their padding must be
    batch["history"] = batch["history"].sort(dim=1, descending=behind).values
    batch["history"][:3] = 0  # rows without behaviours
    for training in (True, False):
        ours, expected = (predictions(either, batch, training) for either in (model, reference))
        assert expected.std() > 1e-3
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_eulernet_starts_as_the_zoos_does():
    settings = {"shape": [7, 7], "embedding_dim": 16}
    model = tiny.build(load_model_class("EulerNet"), **settings, **AS_FUXICTR["EulerNet"])
    theirs = dict(tiny.build(zoo_class("EulerNet"), **settings).named_parameters())
    for key, value in model.named_parameters():
        if value.numel() > 1 and not key.startswith("embedding_layer"):
            expected = theirs[key]
            assert value.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=0.35), key
            assert value.std(correction=0).item() == pytest.approx(expected.std(correction=0).item(), rel=0.35), key
