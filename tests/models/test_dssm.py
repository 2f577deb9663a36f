"""DSSM against its formula; which tower a field is in comes from the feature map."""

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.dssm import DSSM
from tests.models import tiny


def tower(block: nn.Module, x: Tensor) -> Tensor:
    """An MLP with tanh after each layer but the last, spelled out for one row."""
    *hidden, last = [layer for layer in block.modules() if isinstance(layer, nn.Linear)]
    for layer in hidden:
        x = (layer.weight @ x + layer.bias).tanh()
    return last.weight @ x + last.bias


def test_the_prediction_is_the_inner_product_of_the_towers():
    units = {"user_tower_units": [6, 3], "item_tower_units": [5, 4, 3]}
    activations = {"user_tower_activations": "Tanh", "item_tower_activations": "Tanh"}
    model = tiny.build(DSSM, embedding_dim=4, **units, **activations).eval()
    tiny.randomize(model, scale=0.4)
    batch = tiny.columns(5)
    with torch.no_grad():
        embedded = model.embedding_layer({name: batch[name] for name in ("user", "item", "device", "price", "history")})
        predicted = model(batch)["y_pred"]
        for row in range(5):
            user = tower(model.user_tower, torch.cat([embedded[name][row] for name in ("user", "device", "history")]))
            item = tower(model.item_tower, torch.cat([embedded[name][row] for name in ("item", "price")]))
            torch.testing.assert_close(predicted[row, 0], 1 / (1 + torch.exp(-sum(user * item))))


def test_fields_of_neither_source_go_with_the_user_and_may_have_widths_of_their_own():
    features = {
        "item": {**tiny.CATEGORICAL, "source": "item", "embedding_dim": 7},
        "hour": {**tiny.CATEGORICAL, "source": "context", "embedding_dim": 2},
        "other": tiny.CATEGORICAL,
        "group": {"source": "", "type": "meta"},
    }
    model = tiny.build(DSSM, tiny.make_feature_map("plain", features, 4, group_id="group"), embedding_dim=4)
    assert (model.item_fields, model.user_fields) == (["item"], ["hour", "other"])
    assert (model.item_tower.mlp[0].in_features, model.user_tower.mlp[0].in_features) == (7, 6)


@pytest.mark.parametrize("source", ["item", "user"])
def test_both_towers_need_fields(source):
    features = {name: {**tiny.CATEGORICAL, "source": source} for name in ("a", "b")}
    with pytest.raises(ValueError, match="needs fields of source item and others"):
        tiny.build(DSSM, tiny.make_feature_map("plain", features, 10))


def test_both_towers_must_end_in_one_width():
    with pytest.raises(ValueError, match="user_tower_units end in 8 and item_tower_units in 4"):
        tiny.build(DSSM, user_tower_units=[16, 8], item_tower_units=[4])
