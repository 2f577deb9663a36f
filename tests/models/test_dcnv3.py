"""DCNv3 against its formula spelled out, its degenerate cases, and the degree of its crosses."""

from math import comb

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuxi_plugins.models.dcnv3 import DCNv3, MaskedCross, MaskedCrossNetwork
from tests.models import tiny

N, K = 5, 4  # fields and the width of an embedding


def build(**settings) -> DCNv3:
    model = tiny.build(DCNv3, embedding_dim=K, deep_net_dropout=0.0, shallow_net_dropout=0.0, **settings)
    tiny.randomize(model, 0.3)
    return model.eval()


def spelled_out(net: MaskedCrossNetwork, x_0: list[Tensor], deep: bool) -> Tensor:
    """The logit of one head of one row, number by number."""
    x = x_0
    for layer in net.layers:
        c = [sum(w * value for w, value in zip(row, x, strict=True)) for row in layer.linear.weight]
        mean = sum(c) / len(c)
        variance = sum((value - mean) ** 2 for value in c) / len(c)
        gain, shift = layer.layer_norm.weight, layer.layer_norm.bias
        mask = [((v - mean) / (variance + 1e-5) ** 0.5 * g + b).relu() for v, g, b in zip(c, gain, shift, strict=True)]
        h = c + [value * m for value, m in zip(c, mask, strict=True)]
        base = x if deep else x_0
        x = [a * (value + b) + old for a, value, b, old in zip(base, h, layer.bias, x, strict=True)]
    return net.fc.bias + sum(w * value for w, value in zip(net.fc.weight[0], x, strict=True))


@pytest.mark.parametrize("num_heads", [1, 2])
def test_it_is_its_formula(num_heads):
    model = build(num_heads=num_heads, num_deep_cross_layers=2, num_shallow_cross_layers=3)
    batch = tiny.columns(3)
    embeddings = model.embedding_layer(model.get_inputs(batch))  # (B, n, H k)
    found = model(batch)
    for row in range(3):
        logits = {True: [], False: []}
        for head in range(num_heads):
            fields = embeddings[row][:, head * K : (head + 1) * K]
            x_0 = [v for field in fields for v in field[: K // 2]] + [v for field in fields for v in field[K // 2 :]]
            logits[True].append(spelled_out(model.deep_net, x_0, deep=True))
            logits[False].append(spelled_out(model.shallow_net, x_0, deep=False))
        d, s = (sum(of_net) / num_heads for of_net in (logits[True], logits[False]))
        for y, logit in zip([found["y_pred"], *found["y_of_each_net"]], [(d + s) / 2, d, s], strict=True):
            torch.testing.assert_close(y[row], logit.sigmoid())


def test_the_loss_is_that_of_three_predictions():
    model, batch = build(), tiny.columns(64)
    found, label = model(batch), model.get_labels(batch)
    joint, deep, shallow = (F.binary_cross_entropy(y, label).item() for y in (found["y_pred"], *found["y_of_each_net"]))
    expected = joint + max(0, deep - joint) * deep + max(0, shallow - joint) * shallow
    assert expected > joint
    assert model.add_loss(found, label).item() == pytest.approx(expected)


def test_the_weight_of_a_networks_loss_is_not_detached():
    model, batch = build(), tiny.columns(64)
    found, label = model(batch), model.get_labels(batch)
    model.add_loss(found, label).backward()
    learned = model.deep_net.fc.weight.grad.clone()
    model.zero_grad()
    found = model(batch)
    losses = [F.binary_cross_entropy(y, label) for y in (found["y_pred"], *found["y_of_each_net"])]
    detached = losses[0] + sum((own - losses[0]).relu().detach() * own for own in losses[1:])
    detached.backward()
    assert not torch.allclose(learned, model.deep_net.fc.weight.grad)


def test_one_network_alone_has_the_plain_loss_and_half_the_parameters():
    batch = tiny.columns(16)
    for other in ("num_deep_cross_layers", "num_shallow_cross_layers"):
        model = build(**{other: 0})
        found, label = model(batch), model.get_labels(batch)
        torch.testing.assert_close(model.add_loss(found, label), F.binary_cross_entropy(found["y_pred"], label))


@pytest.mark.parametrize(("layer_norm", "num_heads"), [(True, 1), (False, 3)])
def test_parameters(layer_norm, num_heads):
    """(nk)^2/2 + nk a layer, nk more with LayerNorm, and nk + 1 a network; heads share all but the embeddings."""
    model = build(num_deep_cross_layers=2, num_shallow_cross_layers=1, layer_norm=layer_norm, num_heads=num_heads)
    width = N * K
    layer = width**2 // 2 + width + width * layer_norm
    assert tiny.dense_count(model) == 3 * layer + 2 * (width + 1)
    assert tiny.embedding_count(model) == num_heads * tiny.embedding_count(build())


CRITEO, AVAZU = (39, 910_747), (24, 3_750_999)  # fields, and rows of all tables together, a numeric field's vector one
AVAZU_RUN = {"batch_norm": True, "num_deep_cross_layers": 4}


@pytest.mark.parametrize(
    ("dataset", "settings", "logged"),
    [
        *((CRITEO, {"num_deep_cross_layers": n, "num_shallow_cross_layers": 0}, 14_572_577 + 195_936 * n)
          for n in range(1, 7)),
        (CRITEO, {"num_deep_cross_layers": 3}, 15_944_754),
        (CRITEO, {"num_shallow_cross_layers": 5}, 16_336_626),
        (AVAZU, {"num_shallow_cross_layers": 5, "num_heads": 4, **AVAZU_RUN}, 240_735_242),
        (AVAZU, {"num_shallow_cross_layers": 0, "num_heads": 3, **AVAZU_RUN}, 180_346_345),
    ],
)  # fmt: skip
def test_the_authors_runs_have_as_many_parameters_as_they_logged(dataset, settings, logged):
    fields, rows = dataset
    model = tiny.build(DCNv3, tiny.plain_feature_map(fields, 16), embedding_dim=16, **settings)
    assert tiny.dense_count(model) + rows * 16 * settings.get("num_heads", 1) == logged


def cross(width: int = 6, bias: float | None = None) -> MaskedCross:
    layer = MaskedCross(width, dropout=0.0, layer_norm=True, batch_norm=False, num_heads=1).double()
    with torch.no_grad():
        if bias is not None:
            layer.linear.weight.zero_()
            layer.bias.fill_(bias)
    return layer


def test_a_layer_without_weights_keeps_or_adds():
    x_0, x = torch.randn(2, 3, 1, 6, dtype=torch.float64)
    assert torch.equal(cross(bias=0.0)(x_0, x), x)
    assert torch.equal(cross(bias=1.0)(x, x), 2 * x)
    assert torch.equal(cross(bias=1.0)(x_0, x), x_0 + x)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("deep", [True, False])
def test_the_degree_doubles_with_a_deep_layer_and_grows_by_one_with_a_shallow_one(deep, depth):
    """With the mask held at 1 the logit at a * x_0 is a polynomial in a: finite differences tell its degree."""
    torch.manual_seed(depth)
    net = MaskedCrossNetwork(6, depth, deep, dropout=0.0, layer_norm=True, batch_norm=False, num_heads=1).double()
    with torch.no_grad():
        for layer in net.layers:
            layer.linear.weight.normal_()
            layer.layer_norm.weight.zero_()
            layer.layer_norm.bias.fill_(1.0)
    degree = 2**depth if deep else depth + 1
    x_0 = torch.randn(1, 1, 6, dtype=torch.float64)

    def difference(order: int) -> float:
        values = [net(x_0 * (i / order)).item() for i in range(order + 1)]
        return abs(sum((-1) ** i * comb(order, i) * value for i, value in enumerate(values)))

    assert difference(degree + 1) < 1e-10 < 1e-7 < difference(degree)


def test_what_does_not_fit_is_refused():
    for settings, message in (
        ({"embedding_dim": 5}, "embedding_dim must be even, but it is 5"),
        ({"num_deep_cross_layers": 0, "num_shallow_cross_layers": 0}, "at least one of the two networks"),
        ({"num_heads": 0}, "num_heads must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny.build(DCNv3, **settings)
