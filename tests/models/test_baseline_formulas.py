"""The baselines against the formulas of their papers, written with the parameters of the model."""

import pytest
import torch
from torch import Tensor, nn

from fuxi_plugins.models.autoint import AutoInt
from fuxi_plugins.models.dcnv2 import DCNv2
from fuxi_plugins.models.deepfm import DeepFM
from fuxi_plugins.models.dnn import DNN
from fuxi_plugins.models.fm import FM
from fuxi_plugins.models.lr import LR
from fuxi_plugins.models.xdeepfm import xDeepFM
from tests.models import tiny

FIELDS = ("user", "item", "device", "price", "history")


def linear_part(layer: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """(B, 1): the weight of every value, summed; times the value where it is a number."""
    weights = layer.embedding_layer.embedding_layer.embedding_layers
    logit = sum(weights[field](batch[field]) for field in ("user", "item", "device", "price"))
    logit = logit + weights["history"](batch["history"]).sum(dim=1)
    return logit if layer.bias is None else logit + layer.bias


def mlp(layers: nn.Module, x: Tensor) -> Tensor:
    """Linear and ReLU in turn, no activation after the last."""
    maps = [layer for layer in layers.modules() if isinstance(layer, nn.Linear)]
    for linear in maps[:-1]:
        x = torch.relu(x @ linear.weight.T + linear.bias)
    return x @ maps[-1].weight.T + maps[-1].bias


def pairs(e: Tensor) -> Tensor:
    """(B, 1): the inner products of all pairs of different fields."""
    n = e.shape[1]
    return sum((e[:, i] * e[:, j]).sum(-1, keepdim=True) for i in range(n) for j in range(i + 1, n))


def cin(layer: nn.Module, e: Tensor) -> Tensor:
    """(B, 1): new feature map h is the sum over i, j of W_hij (x_i * e_j); every map is summed, then weighed."""
    pooled, x = [], e
    for convolution in layer.cin_layer.values():
        w = convolution.weight.view(-1, e.shape[1], x.shape[1])  # (H, n, H of the layer before)
        x = torch.einsum("hji,bjk,bik->bhk", w, e, x) + convolution.bias.view(-1, 1)
        pooled.append(x.sum(-1))
    return torch.cat(pooled, dim=1) @ layer.fc.weight.T + layer.fc.bias


def cross(net: nn.Module, x_0: Tensor) -> Tensor:
    x = x_0
    for layer in net.cross_layers:
        x = x_0 * (x @ layer.weight.T + layer.bias) + x
    return x


def attention(layer: nn.Module, e: Tensor, heads: int) -> Tensor:
    """ReLU of the heads' weighted values side by side, plus the residual."""
    width = layer.W_q.out_features // heads
    outs = []
    for h in range(heads):
        q, k, v = (e @ w.weight[h * width : (h + 1) * width].T for w in (layer.W_q, layer.W_k, layer.W_v))
        outs.append(torch.softmax(q @ k.transpose(1, 2), dim=-1) @ v)
    residual = e if layer.W_res is None else e @ layer.W_res.weight.T
    return torch.relu(torch.cat(outs, dim=-1) + residual)


def autoint(model: nn.Module, e: Tensor) -> Tensor:
    for layer in model.self_attention:
        e = attention(layer, e, heads=3)
    return e.flatten(1) @ model.fc.weight.T + model.fc.bias


def dcnv2(model: nn.Module, e: Tensor) -> Tensor:
    x = e.flatten(1)
    deep = torch.relu(x @ model.parallel_dnn.mlp[0].weight.T + model.parallel_dnn.mlp[0].bias)
    return torch.cat([cross(model.crossnet, x), deep], dim=1) @ model.fc.weight.T + model.fc.bias


# model class, settings, the logit of the formula from model, embeddings (B, n, k) and batch
FORMULAS = [
    (LR, {}, lambda m, e, x: linear_part(m.lr_layer, x)),
    (FM, {}, lambda m, e, x: linear_part(m.fm.lr_layer, x) + pairs(e)),
    (DNN, {"hidden_units": [8, 6]}, lambda m, e, x: mlp(m.mlp, e.flatten(1))),
    (
        DeepFM,
        {"hidden_units": [8]},
        lambda m, e, x: linear_part(m.fm.lr_layer, x) + pairs(e) + mlp(m.mlp, e.flatten(1)),
    ),
    (
        xDeepFM,
        {"cin_hidden_units": [4, 3], "dnn_hidden_units": [8]},
        lambda m, e, x: linear_part(m.lr_layer, x) + cin(m.cin, e) + mlp(m.dnn, e.flatten(1)),
    ),
    (DCNv2, {"num_cross_layers": 2, "parallel_dnn_hidden_units": [8]}, lambda m, e, x: dcnv2(m, e)),
    (
        AutoInt,
        {"attention_dim": 6, "num_heads": 3, "dnn_hidden_units": [8], "use_wide": True},
        lambda m, e, x: autoint(m, e) + mlp(m.dnn, e.flatten(1)) + linear_part(m.lr_layer, x),
    ),
]


@pytest.mark.parametrize(
    ("model_class", "settings", "formula"), FORMULAS, ids=lambda value: getattr(value, "__name__", "")
)
def test_the_model_computes_its_formula(model_class, settings, formula):
    model, batch = tiny.build(model_class, **settings), tiny.columns(6)
    tiny.randomize(model, scale=0.3)
    embeddings = None if model_class is LR else model.embedding_layer({field: batch[field] for field in FIELDS})
    torch.testing.assert_close(model(batch)["y_pred"], torch.sigmoid(formula(model, embeddings, batch)))


@pytest.mark.parametrize("structure", ["stacked", "stacked_parallel", "crossnet_only"])
def test_the_structures_of_dcnv2(structure):
    settings = {"stacked_dnn_hidden_units": [8], "parallel_dnn_hidden_units": [6], "num_cross_layers": 2}
    model, batch = tiny.build(DCNv2, model_structure=structure, **settings), tiny.columns(6)
    tiny.randomize(model, scale=0.3)
    x = model.embedding_layer({field: batch[field] for field in FIELDS}, flatten_emb=True)
    out = cross(model.crossnet, x)
    if structure != "crossnet_only":
        out = torch.relu(model.stacked_dnn.mlp[0](out))
    if structure == "stacked_parallel":
        out = torch.cat([out, torch.relu(model.parallel_dnn.mlp[0](x))], dim=1)
    torch.testing.assert_close(model(batch)["y_pred"], torch.sigmoid(model.fc(out)))
