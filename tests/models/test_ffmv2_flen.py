"""FFMv2 and FLEN against their formulas as plain loops."""

from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.ffm import FFM
from fuxi_plugins.models.ffmv2 import FFMv2
from fuxi_plugins.models.flen import FLEN
from tests.models import tiny

K, N = 3, 5


def build(model_class: type, **settings):
    model = tiny.build(model_class, embedding_dim=K, **settings)
    tiny.randomize(model, 0.3)
    return model.eval()


def partner(i: int, j: int) -> int:
    """Where field i keeps what it shows to field j, itself left out."""
    return j - 1 if j > i else j


def test_ffmv2_is_a_double_loop():
    model, batch = build(FFMv2), tiny.columns(4)
    shown = model.embedding_layer(model.get_inputs(batch)).view(4, N, N - 1, K)
    expected = model.lr_layer(model.get_inputs(batch)).squeeze(1)
    for row in range(4):
        for i, j in combinations(range(N), 2):
            expected[row] = expected[row] + shown[row, i, partner(i, j)] @ shown[row, j, partner(j, i)]
    torch.testing.assert_close(model(batch)["y_pred"].squeeze(1), expected.sigmoid())


def test_ffmv2_is_ffm_with_its_tables_side_by_side():
    wide, narrow, batch = build(FFMv2), build(FFM), tiny.columns(8)
    tables = wide.embedding_layer.embedding_layer.embedding_layers
    with torch.no_grad():
        for name, layer in tables.items():
            axis = 0 if isinstance(layer, nn.Linear) else 1  # a numeric field's vector stands in a column
            parts = layer.weight.chunk(N - 1, dim=axis)
            for part, of_partner in zip(parts, narrow.embedding_layers, strict=True):
                of_partner.embedding_layer.embedding_layers[name].weight.copy_(part)
    narrow.lr_layer.load_state_dict(wide.lr_layer.state_dict())
    torch.testing.assert_close(wide(batch)["y_pred"], narrow(batch)["y_pred"])
    counts = [sum(parameter.numel() for parameter in model.parameters()) for model in (wide, narrow)]
    assert counts[0] == counts[1]


def groups_map(context: bool):
    feature_map = tiny.feature_map(K)
    if context:
        feature_map.features["device"]["source"] = "context"
        feature_map.features["price"]["source"] = ""  # no group's by name, so the context's
    return feature_map


@pytest.mark.parametrize("context", [True, False])
def test_flen_is_its_formula(context):
    model, batch = build(FLEN, the_map=groups_map(context)), tiny.columns(4)
    names = {
        "user": ["user", "history"] if context else ["user", "device", "history"],
        "item": ["item"] if context else ["item", "price"],
        "context": ["device", "price"] if context else [],
    }
    embeddings = model.embedding_layer(model.get_inputs(batch))
    place = {name: i for i, name in enumerate(["user", "item", "device", "price", "history"])}
    first_order = model.lr_layer(model.get_inputs(batch))
    expected = []
    for row in range(4):
        members = {group: [embeddings[row, place[name]] for name in fields] for group, fields in names.items()}
        sums = [sum(vectors, start=torch.zeros(K)) for vectors in members.values()]
        crossed = torch.zeros(K)
        for weight, (g, h) in zip(model.between.weight[0], combinations(sums, 2), strict=True):
            crossed = crossed + weight * g * h
        for weight, vectors in zip(model.within.weight[0], members.values(), strict=True):
            for e_i, e_j in combinations(vectors, 2):
                crossed = crossed + weight * e_i * e_j
        f = (model.crosses.weight @ torch.cat([first_order[row], crossed])).clamp(min=0)
        deep = model.dnn(embeddings[row].flatten().unsqueeze(0))[0]
        expected.append((model.fc.weight @ torch.cat([f, deep])).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.stack(expected))


def test_flen_without_its_weights_of_pairs_is_a_linear_part_and_an_mlp():
    model, batch = build(FLEN), tiny.columns(8)
    with torch.no_grad():
        model.between.weight.zero_()
        model.within.weight.zero_()
    features = model.get_inputs(batch)
    f = (model.lr_layer(features) @ model.crosses.weight[:, :1].T).relu()
    deep = model.dnn(model.embedding_layer(features, flatten_emb=True))
    expected: Tensor = model.fc(torch.cat([f, deep], dim=1)).sigmoid()
    torch.testing.assert_close(model(batch)["y_pred"], expected)


def test_parameters_of_flen():
    model = build(FLEN, dnn_hidden_units=[7])
    linear_part = tiny.embedding_count(model.lr_layer) + 1
    inside = 3 + 3 + (K + 1) ** 2 + (N * K * 7 + 7) + (K + 1 + 7)
    assert tiny.dense_count(model) + tiny.embedding_count(model.lr_layer) == linear_part + inside


def test_flen_needs_a_user_and_an_item():
    feature_map = tiny.plain_feature_map(3, K)
    with pytest.raises(ValueError, match="FLEN needs fields of source user and of source item, but the sources are"):
        tiny.build(FLEN, feature_map, embedding_dim=K)
