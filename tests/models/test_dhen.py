"""DHEN against its formula spelled out, and layers that must change nothing."""

from itertools import combinations

import pytest
import torch
from torch import Tensor

from fuxi_plugins.models.dhen import DHEN, EnsembleLayer
from tests.models import tiny

N, K = 5, 4


def build(**settings) -> DHEN:
    model = tiny.build(DHEN, embedding_dim=K, dot_width=6, cross_rank=3, **settings)
    tiny.randomize(model, 0.3)
    return model.eval()


def layer(**settings) -> EnsembleLayer:
    return build(num_layers=1, **settings).layers[0]


def tokens(rows: int = 2) -> Tensor:
    torch.manual_seed(3)
    return torch.randn(rows, N, K)


def norm(part: EnsembleLayer, x: Tensor) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    scaled = centred / (centred.square().mean(dim=-1, keepdim=True) + part.norm.eps).sqrt()
    return scaled * part.norm.weight + part.norm.bias


def spelled_out(part: EnsembleLayer, x: Tensor, joining: str) -> Tensor:
    """One row's (n, k) through a layer of dot, dcn and linear."""
    dot, dcn, linear = part.interactions
    products = torch.stack(
        [sum(a * b for a, b in zip(x[i], x[j], strict=True)) for i, j in combinations(range(len(x)), 2)]
    )
    hidden = (dot.mlp.mlp[0].weight @ products + dot.mlp.mlp[0].bias).clamp(min=0)
    last = dot.mlp.mlp[-1]
    dots = (last.weight @ hidden + last.bias).view(-1, K)
    flat = x.flatten()
    crossed = (flat * (dcn.up.weight @ (dcn.down.weight @ flat) + dcn.up.bias)).view(-1, K)
    if len(dots) != len(x):
        crossed = dcn.rows.linear.weight @ crossed
    mapped = torch.stack([sum(w * token for w, token in zip(row, x, strict=True)) for row in linear.linear.weight])
    found = [dots, crossed, mapped]
    if joining == "concat":
        joined = torch.cat(found)
    elif joining == "weighted_sum":
        powers = part.weight_logits.exp()
        joined = sum(p * each for p, each in zip(powers, found, strict=True)) / powers.sum()
    else:
        joined = sum(found)
    shortcut = x if len(joined) == len(x) else part.shortcut.linear.weight @ x
    return norm(part, joined + shortcut)


@pytest.mark.parametrize("joining", ["sum", "weighted_sum", "concat"])
@pytest.mark.parametrize("layer_tokens", [None, 3])
def test_it_is_its_formula(joining, layer_tokens):
    model, batch = build(joining=joining, layer_tokens=layer_tokens), tiny.columns(3)
    embeddings = model.embedding_layer(model.get_inputs(batch))
    expected = []
    for row in range(3):
        x = embeddings[row]
        for part in model.layers:
            x = spelled_out(part, x, joining)
        expected.append(model.dnn(x.flatten().unsqueeze(0)).sigmoid())
    torch.testing.assert_close(model(batch)["y_pred"], torch.cat(expected))


def silence(part: EnsembleLayer) -> None:
    with torch.no_grad():
        for parameter in part.interactions.parameters():
            parameter.zero_()


def test_a_layer_whose_interactions_are_zero_norms_its_input():
    part = layer()
    silence(part)
    torch.testing.assert_close(part(tokens()), norm(part, tokens()))


def test_a_linear_map_that_takes_the_input_away_leaves_the_norms_bias():
    part = layer(interactions=["linear"])
    with torch.no_grad():
        part.interactions[0].linear.weight.copy_(-torch.eye(N))
    torch.testing.assert_close(part(tokens()), part.norm.bias.expand(2, N, K))


def test_attention_alone_does_not_know_the_order_of_the_fields():
    part, order = layer(interactions=["attention"], num_heads=2), [3, 0, 4, 1, 2]
    torch.testing.assert_close(part(tokens()[:, order]), part(tokens())[:, order])


def test_all_weight_on_one_interaction_is_that_interaction_alone():
    both, x = layer(interactions=["dot", "linear"], joining="weighted_sum"), tokens()
    with torch.no_grad():
        both.weight_logits.copy_(torch.tensor([-200.0, 0.0]))
    torch.testing.assert_close(both(x), norm(both, both.interactions[1](x) + x))


def test_parameters():
    pairs, wide = N * (N - 1) // 2, N * K
    dot = (pairs * 6 + 6) + (6 * wide + wide)
    dcn, linear, normed = 2 * wide * 3 + wide, N * N, 2 * K
    head = (wide * 7 + 7) + (7 + 1)
    assert tiny.dense_count(build(dnn_hidden_units=[7])) == 2 * (dot + dcn + linear + normed) + head
    weighted = build(dnn_hidden_units=[7], joining="weighted_sum")
    assert tiny.dense_count(weighted) == 2 * (dot + dcn + linear + normed + 3) + head


def test_what_does_not_fit_is_refused():
    for settings, message in (
        ({"interactions": []}, "interactions must name some of dot, dcn, linear, attention, each once, but they are"),
        ({"interactions": ["dot", "dot"]}, "each once"),
        ({"interactions": ["conv"]}, "interactions must be one of 'dot'"),
        ({"joining": "mean"}, "joining must be one of 'sum'"),
        ({"interactions": ["attention"], "num_heads": 3}, "embedding_dim must be a multiple of num_heads"),
        ({"layer_tokens": 0}, "layer_tokens must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            build(**settings)
