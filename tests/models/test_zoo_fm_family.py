"""Factorization machines and their neighbours against the formulas of their papers, spelled out row by row.

Only the embeddings and the first-order part are taken from FuxiCTR's layers. A row is a list of n embeddings e.
"""

import math
from collections.abc import Callable
from itertools import combinations

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models import pairs
from fuxi_plugins.models.fuxictr_layers import LinearPart
from fuxi_plugins.models.registry import load_model_class
from tests.models import tiny

N, K = 5, 4
FIELDS = ("user", "item", "device", "price", "history")
MLP = {"hidden_units": [6, 3]}


def dot(a: Tensor, b: Tensor) -> Tensor:
    return sum(x * y for x, y in zip(a, b, strict=True))


def product(vectors: list[Tensor]) -> Tensor:
    result = vectors[0]
    for vector in vectors[1:]:
        result = result * vector
    return result


def dense(layer: nn.Linear, x: Tensor) -> Tensor:
    out = torch.stack([dot(weights, x) for weights in layer.weight])
    return out if layer.bias is None else out + layer.bias


def mlp(block: nn.Module, x: Tensor) -> Tensor:
    """ReLU after each layer but the last."""
    *hidden, last = [layer for layer in block.modules() if isinstance(layer, nn.Linear)]
    for layer in hidden:
        x = dense(layer, x).clamp(min=0)
    return dense(last, x)


def all_pairs() -> list[tuple[int, int]]:
    return [(i, j) for i in range(N) for j in range(N) if i < j]


def fwfm_filv(model, e, row):
    field_weights = model.linear_weight_layer.weight.view(N, K)
    return weighted_pairs(model, e) + sum(dot(e[i], field_weights[i]) for i in range(N))


def fwfm_lw(model, e, row):
    return weighted_pairs(model, e) + sum(vectors(model.linear_weight_layer, row))


def fwfm_felv(model, e, row):
    weights = vectors(model.linear_weight_layer, row)
    return weighted_pairs(model, e) + sum(dot(e[i], weights[i]) for i in range(N))


def weighted_pairs(model, e):
    r = model.interaction_weight
    return r.bias + sum(r.weight[0, p] * dot(e[i], e[j]) for p, (i, j) in enumerate(all_pairs()))


def fmfm_matrixed(model, e, row):
    logit = 0.0
    for p, (i, j) in enumerate(all_pairs()):
        for a in range(K):
            for b in range(K):
                logit += e[i][a] * model.interaction_weight[p, a, b] * e[j][b]
    return logit


def fmfm_vectorized(model, e, row):
    return sum((e[i] * model.interaction_weight[p] * e[j]).sum() for p, (i, j) in enumerate(all_pairs()))


def shown(layers: nn.ModuleList, row) -> dict[tuple[int, int], Tensor]:
    """v_ij: the other fields of i in their order take its tables in their order."""
    tables = [vectors(layer, row) for layer in layers]
    return {(i, j): tables[position][i] for i in range(N) for position, j in enumerate(j for j in range(N) if j != i)}


def ffm(model, e, row):
    v = shown(model.embedding_layers, row)
    return sum(dot(v[i, j], v[j, i]) for i, j in all_pairs())


def onn(model, e, row):
    v = shown(model.embedding_layers[1:], row)
    products = torch.stack([dot(v[i, j], v[j, i]) for i, j in all_pairs()])
    return mlp(model.dnn, torch.cat([*vectors(model.embedding_layers[0], row), products]))


def hofm(model, e, row):
    orders = {order: vectors(layer, row) for order, layer in enumerate(model.embedding_layers, start=2)}
    return sum(product(list(chosen)).sum() for t, v in orders.items() for chosen in combinations(v, t))


def hofm_reusing(model, e, row):
    return sum(product(list(chosen)).sum() for t in (2, 3) for chosen in combinations(e, t))


def afm(model, e, row):
    products = [e[i] * e[j] for i, j in all_pairs()]
    scores = [dense(model.attention[2], dense(model.attention[0], x).clamp(min=0)) for x in products]
    total = sum(math.exp(score) for score in scores)
    return dense(model.weight_p, sum(math.exp(score) / total * x for score, x in zip(scores, products, strict=True)))


def afm_without_attention(model, e, row):
    return sum(dot(e[i], e[j]) for i, j in all_pairs())


def nfm(model, e, row):
    return mlp(model.dnn, sum(e[i] * e[j] for i, j in all_pairs()))


def in_a_circle(sign: int) -> Callable[[Tensor, Tensor], Tensor]:
    def multiply(a: Tensor, b: Tensor) -> Tensor:
        return torch.stack([sum(a[m] * b[(place + sign * m) % K] for m in range(K)) for place in range(K)])

    return multiply


def hfm(multiply):
    return lambda model, e, row: dense(model.proj_h, sum(multiply(e[i], e[j]) for i, j in all_pairs()))


def hfm_plus(multiply):
    return lambda model, e, row: mlp(model.dnn, torch.cat([multiply(e[i], e[j]) for i, j in all_pairs()]))


def lorentzfm(model, e, row):
    logit = 0.0
    for i, j in all_pairs():
        u, v = ([(1 + dot(x, x)) ** 0.5, *x] for x in (e[i], e[j]))
        lorentz = -u[0] * v[0] + dot(u[1:], v[1:])
        logit += (1 - lorentz - u[0] - v[0]) / (u[0] * v[0])
    return logit


def pnn_inner(model, e, row):
    return mlp(model.dnn, torch.cat([*e, torch.stack([dot(e[i], e[j]) for i, j in all_pairs()])]))


def pnn_outer(model, e, row):
    outer = torch.zeros(K, K)
    for a in e:
        for b in e:
            outer = outer + a[:, None] * b[None, :]
    return mlp(model.dnn, torch.cat([*e, *outer]))


def widedeep(model, e, row):
    return mlp(model.dnn, torch.cat(e))


def dualmlp(model, e, row):
    return mlp(model.mlp1, torch.cat(e)) + mlp(model.mlp2, torch.cat(e))


def deepim(model, e, row):
    orders = [sum(product(list(chosen)) for chosen in combinations(e, t)) for t in (1, 2, 3)]
    return dense(model.im_layer.fc, torch.cat(orders)) + mlp(model.dnn, torch.cat(e))


def deepcrossing(model, e, row):
    x = torch.cat(e)
    for unit in list(model.crossing_layer)[:-1]:
        inner = dense(unit.layer[0], x).clamp(min=0)
        x = (dense(unit.layer[2], inner) + x).clamp(min=0)
    return dense(model.crossing_layer[-1], x)


def dlrm_embeddings(model, e, row):
    dense_embedding = mlp(model.bottom_mlp, row["price"][0]).clamp(min=0)
    return [*vectors(model.embedding_layer, row), dense_embedding]


def dlrm_dot(model, e, row):
    x = dlrm_embeddings(model, e, row)
    return mlp(model.top_mlp, torch.cat([torch.stack([dot(x[i], x[j]) for i, j in all_pairs()]), x[-1]]))


def dlrm_cat(model, e, row):
    return mlp(model.top_mlp, torch.cat(dlrm_embeddings(model, e, row)))


def convolution(model, e, row):
    """Two layers of two maps each, kernels of 3 and 2 rows: 5 rows become 7, of which 3 stay, become 4, 3 stay."""
    maps = [torch.stack(e)]
    for layer in (layer for layer in model.conv_layer if isinstance(layer, nn.Conv2d)):
        height = layer.kernel_size[0]
        edge = torch.zeros(height - 1, K)
        padded = [torch.cat([edge, x, edge]) for x in maps]
        maps = []
        for kernel, bias in zip(layer.weight[..., 0], layer.bias, strict=True):
            wide = torch.stack([
                bias + sum(kernel[m, h] * x[start + h] for m, x in enumerate(padded) for h in range(height))
                for start in range(len(padded[0]) - height + 1)
            ])  # fmt: skip
            columns = [[v for v in column if (column > v).sum() < 3] for column in wide.T]
            maps.append(torch.tensor(columns).T.tanh())
    return dense(model.fc, torch.cat([x.flatten() for x in maps]))


FORMULAS = [
    ("AFM", {"attention_dim": 3}, afm),
    ("AFM", {"use_attention": False}, afm_without_attention),
    ("CCPM", {"channels": [2, 2], "kernel_heights": [3, 2]}, convolution),
    ("DLRM", {"bottom_mlp_units": [3], "top_mlp_units": [6]}, dlrm_dot),
    ("DLRM", {"bottom_mlp_units": [3], "top_mlp_units": [6], "interaction_op": "cat"}, dlrm_cat),
    ("DeepCrossing", {"residual_blocks": [6, 3]}, deepcrossing),
    ("DeepIM", {"im_order": 3, **MLP}, deepim),
    ("DualMLP", {"mlp1_hidden_units": [6], "mlp2_hidden_units": [5, 3]}, dualmlp),
    ("FFM", {}, ffm),
    ("FmFM", {}, fmfm_matrixed),
    ("FmFM", {"field_interaction_type": "vectorized"}, fmfm_vectorized),
    ("FwFM", {}, fwfm_filv),
    ("FwFM", {"linear_type": "LW"}, fwfm_lw),
    ("FwFM", {"linear_type": "FeLV"}, fwfm_felv),
    ("HFM", {"use_dnn": False}, hfm(in_a_circle(-1))),
    ("HFM", {"use_dnn": False, "interaction_type": "circular_correlation"}, hfm(in_a_circle(1))),
    ("HFM", {"interaction_type": "circular_correlation", **MLP}, hfm_plus(in_a_circle(1))),
    ("HFM", {"interaction_type": "hadamard_product", **MLP}, hfm_plus(torch.mul)),
    ("HOFM", {"order": 4, "embedding_dim": [4, 3, 2]}, hofm),
    ("HOFM", {"order": 3, "reuse_embedding": True}, hofm_reusing),
    ("LorentzFM", {}, lorentzfm),
    ("NFM", MLP, nfm),
    ("ONN", MLP, onn),
    ("PNN", MLP, pnn_inner),
    ("PNN", {"product_type": "outer", **MLP}, pnn_outer),
    ("WideDeep", MLP, widedeep),
]


def vectors(layer: nn.Module, row) -> list[Tensor]:
    """The embeddings of one row, a vector for each field."""
    return list(layer({field: row[field] for field in FIELDS})[0])


def first_order(model: nn.Module, row) -> Tensor | float:
    """The logit of the linear part; only the models that have none are without one."""
    without = {"CCPM", "DLRM", "DeepCrossing", "DeepIM", "DualMLP", "FwFM", "LorentzFM", "ONN", "PNN"}
    layers = [layer for layer in model.modules() if isinstance(layer, LinearPart)]
    assert len(layers) == (type(model).__name__ not in without)
    return sum(layer({field: row[field] for field in FIELDS})[0] for layer in layers)


@pytest.mark.parametrize(("name", "settings", "formula"), FORMULAS)
def test_the_model_computes_its_formula(name, settings, formula):
    settings = {"embedding_dim": K, **settings}
    model = tiny.build(load_model_class(name), tiny.feature_map(K), **settings).eval()
    tiny.randomize(model, scale=0.4)
    batch = tiny.columns(4)
    expected = []
    with torch.no_grad():
        for number in range(4):
            row = tiny.take(batch, slice(number, number + 1))
            e = vectors(model.embedding_layer, row) if getattr(model, "embedding_layer", None) else None
            logit = first_order(model, row) + formula(model, e, row)
            expected.append(1 / (1 + torch.exp(-logit)).view(1))
        torch.testing.assert_close(model(batch)["y_pred"], torch.stack(expected))


def test_high_orders_do_not_cancel():
    """Power sums would lose the products of four small fields beside a large one."""
    embeddings = torch.tensor([1e4, 1e-2, 1e-2, 1e-2, 1e-2]).view(1, 5, 1)
    highest = pairs.symmetric_sums(embeddings, 5)[-1]
    torch.testing.assert_close(highest, torch.tensor([[1e-4]]), rtol=1e-5, atol=0)


@pytest.mark.parametrize("activation", ["prelu", "dice"])
def test_activations_with_parameters_fit_both_widths_of_a_residual_unit(activation):
    model = tiny.build(load_model_class("DeepCrossing"), residual_blocks=[6], hidden_activations=activation)
    assert model(tiny.columns(4))["y_pred"].shape == (4, 1)


def test_dlrm_without_numbers_has_no_bottom_mlp():
    the_map = tiny.plain_feature_map(3, K)
    model = tiny.build(load_model_class("DLRM"), the_map, embedding_dim=K, top_mlp_units=[])
    assert model.bottom_mlp is None
    assert model.top_mlp.mlp[0].in_features == 3
    batch = {f"categorical_{i}": torch.tensor([1, 2]) for i in range(3)}
    assert model(batch)["y_pred"].shape == (2, 1)


@pytest.mark.parametrize("activations", ["tanh", ["relu", "tanh"]])
def test_the_last_activation_of_dlrms_bottom_mlp_also_ends_it(activations):
    settings = {"bottom_mlp_units": [6, 3], "bottom_mlp_activations": activations}
    model = tiny.build(load_model_class("DLRM"), **settings)
    assert isinstance(model.bottom_activation, nn.Tanh)


ONE_FIELD = tiny.plain_feature_map(1, K)


@pytest.mark.parametrize(
    ("name", "the_map", "settings", "message"),
    [
        *(
            (name, ONE_FIELD, {}, "at least two fields, but the dataset has 1")
            for name in ("AFM", "DLRM", "FFM", "FmFM", "FwFM", "HFM", "LorentzFM", "NFM", "ONN", "PNN")
        ),
        ("AFM", None, {"attention_dropout": [0.1]}, "must be two rates.* but attention_dropout=\\[0.1\\]"),
        ("AFM", None, {"attention_dim": 0}, "attention_dim must be at least 1"),
        ("CCPM", None, {"channels": [2], "kernel_heights": [3, 3]}, "channels=\\[2\\] and kernel_heights=\\[3, 3\\]"),
        ("CCPM", None, {"channels": [], "kernel_heights": []}, "one or more layers, but channels=\\[\\]"),
        ("CCPM", None, {"channels": [0], "kernel_heights": [1]}, "channels\\[0\\] must be at least 1"),
        ("CCPM", ONE_FIELD, {"channels": [2], "kernel_heights": [2]}, "the 3 rows that are pooled.* it leaves 2"),
        ("DLRM", tiny.plain_feature_map(0, K, numeric=2), {}, "a field that is not numeric, but all 2 fields are"),
        ("DeepCrossing", None, {"hidden_activations": ["relu"]}, "each of the 3 residual_blocks"),
        ("DeepIM", None, {"im_order": 6}, "from 1 to the 5 fields, but im_order=6"),
        ("HOFM", None, {"order": 1}, "from 2 to the 5 fields, but order=1"),
        ("HOFM", None, {"order": 6}, "from 2 to the 5 fields, but order=6"),
        ("HOFM", None, {"embedding_dim": [4]}, "2 for the orders 2 to 3, but embedding_dim=\\[4\\]"),
        ("HOFM", None, {"embedding_dim": [4, 4], "reuse_embedding": True}, "one width, but embedding_dim=\\[4, 4\\]"),
    ],
)
def test_what_does_not_fit_is_said(name, the_map, settings, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(load_model_class(name), the_map or tiny.feature_map(K), **settings)
