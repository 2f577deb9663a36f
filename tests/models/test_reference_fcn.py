"""DCNv3 and ECN against their authors' code, with its weights: equal predictions and, for DCNv3, equal losses.

The environment variable FCN_CHECKOUT names a checkout of https://github.com/salmon1802/FCN to compare with, else these
tests are skipped.
"""

import importlib.util
import os
import re
from pathlib import Path

import pytest
import torch
from torch import nn

from fuxi_plugins.models.dcnv3 import DCNv3
from tests.models import tiny

CHECKOUT = os.environ.get("FCN_CHECKOUT")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="FCN_CHECKOUT names no checkout of salmon1802/FCN")

CASES = [
    ("DCNv3", {}),
    ("DCNv3", {"num_deep_cross_layers": 2, "num_shallow_cross_layers": 3, "num_heads": 3, "batch_norm": True}),
    ("DCNv3", {"embedding_dim": 6, "layer_norm": False, "deep_net_dropout": 0, "num_heads": 2}),
    ("ECN", {"num_cross_layers": 3}),
    ("ECN", {"num_cross_layers": 2, "net_dropout": 0.1, "num_heads": 2, "batch_norm": True}),
]


def reference_class(name: str) -> type:
    spec = importlib.util.spec_from_file_location(f"_fcn_{name}", Path(CHECKOUT) / "src" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, name)


def our_settings(name: str, settings: dict) -> dict:
    """ECN there is a class of its own, whose network is the deep one here."""
    if name == "DCNv3":
        return settings
    renamed = {"num_cross_layers": "num_deep_cross_layers", "net_dropout": "deep_net_dropout"}
    ours = {renamed.get(setting, setting): value for setting, value in settings.items()}
    return {"num_shallow_cross_layers": 0, "deep_net_dropout": 0.0, "embedding_dim": 16, **ours}


def our_name(theirs: str) -> str:
    """``ECN.w.0.weight`` there is ``deep_net.layers.0.linear.weight`` here."""
    name = theirs.replace("embedding_layer.embedding_layer.", "embedding_layer.", 1)
    name = re.sub(r"^ECN\.(dfc|fc)\.", "deep_net.fc.", re.sub(r"^LCN\.sfc\.", "shallow_net.fc.", name))
    name = re.sub(r"^(ECN|LCN)\.(\w+)\.(\d+)", lambda m: f"{NETS[m[1]]}.layers.{m[3]}.{LAYERS[m[2]]}", name)
    return name


NETS = {"ECN": "deep_net", "LCN": "shallow_net"}
LAYERS = {"w": "linear", "b": "bias", "layer_norm": "layer_norm", "batch_norm": "batch_norm"}


def predictions(model: nn.Module, batch: dict, training: bool) -> dict:
    torch.manual_seed(2)  # for dropout
    with torch.no_grad():
        return model.train(training)(batch)


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_it_is_the_authors_model(name, settings):
    default = 16 if name == "ECN" else 10  # of embedding_dim
    the_map = tiny.feature_map(settings.get("embedding_dim", default))
    reference = tiny.build(reference_class(name), the_map, **settings)
    tiny.randomize(reference, 0.2)
    ours = our_settings(name, settings)
    model = tiny.build(DCNv3, **ours)
    model.load_state_dict({our_name(key): value for key, value in reference.state_dict().items()})
    batch = tiny.columns(32)
    for training in (True, False):  # BatchNorm by the batch first, then by what it saw
        found, expected = (predictions(either, batch, training) for either in (model, reference))
        assert expected["y_pred"].std() > 1e-3
        torch.testing.assert_close(found["y_pred"], expected["y_pred"], rtol=0, atol=1e-6)
        for y, key in zip(found["y_of_each_net"], ("y_d", "y_s"), strict=False):
            torch.testing.assert_close(y, expected[key], rtol=0, atol=1e-6)
    if name == "DCNv3":  # the authors' add_loss is of an older FuxiCTR and takes the batch
        loss = model.add_loss(model(batch), model.get_labels(batch))
        torch.testing.assert_close(loss, reference.add_loss(batch).squeeze())
