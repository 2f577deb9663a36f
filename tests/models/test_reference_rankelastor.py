"""RankElastor, and RankMixer as its baseline, against the RankElastor authors' code: equal weights, equal predictions.

Where ``RANKELASTOR_CHECKOUT`` names a checkout of vasile-paskardlgm/RankElastor, these tests run.
"""

import importlib
import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.experiments.translation import authors
from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

CHECKOUT = os.environ.get("RANKELASTOR_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="RANKELASTOR_CHECKOUT names no checkout of RankElastor's code")

FIELDS, WIDTH, T = 4, 4, 4
TOKENIZER = {"hidden_units": [5], "dropout": 0.0, "activation": "relu", "trans_type": "vector", "use_layer_norm": True}
NETWORK = {"hidden_units": [7], "dropout": 0.0, "activation": "swiglu", "expansion_rate": 3.0, "use_layer_norm": True}
SETTINGS = {"Token_num": T, "Token_dim": 8, "depth": 2, "mixing_type": 999, "pred_head": "mlp", "use_tokenizer": True,
            "proj_param": TOKENIZER, "interaction_mlp_params": NETWORK}  # fmt: skip
CASES = [
    ("RankElastor", {}),
    ("RankElastor", {"interaction_mlp_params": {**NETWORK, "expansion_rate": 1.0, "hidden_units": [8]}}),
    ("RankElastor", {"mixing_type": 1, "pred_head": "flatten", "proj_param": {**TOKENIZER, "trans_type": "matrix"}}),
    ("RankElastor", {"mixing_type": 8882, "interaction_mlp_params": {**NETWORK, "activation": "relu"}}),
    ("RankMixer", {"mixing_type": 2, "interaction_mlp_params": {**NETWORK, "activation": "gelu"}}),
    ("RankMixer", {"mixing_type": 2, "pred_head": "noparam_mean", "interaction_mlp_params":
        {**NETWORK, "activation": "gelu", "use_layer_norm": False, "hidden_units": [7, 6]}}),
]  # fmt: skip
RENAMED = [  # theirs -> ours, as patterns
    (r"\.gamma$", ".gain"),
    (r"^embedding_tokenization\.pre_norm\.", "tokenizer.norm."),
    (r"^embedding_tokenization\.", "tokenizer."),
    (r"^pred\.", "head."),
    (r"^backbone\.(\d+)\.token_mixing\.pre_norm\.", r"blocks.\1.mixing.norm_before."),
    (r"^backbone\.(\d+)\.token_mixing\.l(?:ayer)?_norm\.", r"blocks.\1.mixing.norm_after."),
    (r"^backbone\.(\d+)\.token_mixing\.\w+\.", r"blocks.\1.mixing.map.linear."),
    (r"^backbone\.(\d+)\.layer_norm1\.", r"blocks.\1.mixing_norm."),
]
OF_A_TOKEN = re.compile(r"backbone\.(\d+)\.token_interaction\.parallel_ffns\.(\d+)\.(\d+)\.(.*)")
GLU = {"fc_lift1": "gate", "fc1": "gate", "fc_lift2": "value", "fc2": "value", "skip1": "skip", "skip2": "lift",
       "fc_reduce": "down"}  # fmt: skip


def authors_class() -> type:
    package = "_rankelastor_authors"
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(Path(CHECKOUT) / "src")]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{package}.UniMixer").UniMixer


def our_weights(theirs: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Theirs under our names; the networks of the tokens, each apart there, are stacked here, one slice a token."""
    ours = model.state_dict()
    found: dict[str, Tensor] = {}
    networks: dict[tuple[str, int, str], list[Tensor]] = {}
    for key, value in theirs.items():
        if match := OF_A_TOKEN.fullmatch(key):
            networks.setdefault((match[1], int(match[3]), match[4]), []).append(value)
            continue
        for pattern, name in RENAMED:
            key = re.sub(pattern, name, key)
        found[key] = value
    layers = sorted({layer for _, layer, _ in networks})  # dropout of 0 is a layer there and none here
    places = sorted({int(key.split(".")[3]) for key in ours if re.match(r"blocks\.\d+\.ffn\.", key)})
    for (block, layer, rest), values in networks.items():
        *part, kind = rest.replace("gamma", "gain").split(".")
        name = ".".join(["blocks", block, "ffn", str(places[layers.index(layer)]), *(GLU[p] for p in part), kind])
        stacked = torch.stack(values)
        found[name] = stacked.transpose(1, 2) if kind == "weight" else stacked.unsqueeze(1)
    return found


@pytest.mark.parametrize(("name", "changes"), CASES)
def test_it_is_the_authors_model(name, changes):
    settings = {**SETTINGS, **changes}
    model_name, ours, _ = authors.translate({"model": authors.MODEL, **settings})
    assert model_name == name
    feature_map = tiny.plain_feature_map(FIELDS, WIDTH)
    reference = tiny.build(authors_class(), feature_map, embedding_dim=WIDTH, **settings)
    tiny.randomize(reference, 0.2)
    model = tiny.build(load_model_class(name), feature_map, embedding_dim=WIDTH, **ours)
    weights = our_weights(reference.state_dict(), model)
    assert weights.keys() == model.state_dict().keys()
    model.load_state_dict(weights)
    ids = torch.randint(1, tiny.VOCABULARY, (16, FIELDS), generator=torch.Generator().manual_seed(0))
    batch = {f"categorical_{field}": ids[:, field] for field in range(FIELDS)}
    for training in (True, False):
        with torch.no_grad():
            found, expected = (either.train(training)(batch)["y_pred"] for either in (model, reference))
        assert expected.std() > 1e-3
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
