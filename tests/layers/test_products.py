"""A linear layer whose products are turned round computes what torch's does, and so do its gradients."""

import pytest
import torch
from torch import nn

from fuxi_plugins.layers import products


@pytest.fixture(autouse=True)
def _on_a_processor_that_gains(monkeypatch):
    monkeypatch.setattr(products, "TURNS", True)


def gradients(out, *of):
    return torch.autograd.grad((out * torch.arange(out.numel(), dtype=out.dtype).view_as(out)).sum(), of)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [(7,), (3, 4)], ids=str)
@pytest.mark.parametrize("shape", [(260, 30), (30, 260), (261, 259), (264, 31), (31, 264)], ids=str)
def test_a_turned_layer_is_the_layer(shape, rows, bias):
    torch.manual_seed(0)
    layer = nn.Linear(*shape, bias=bias, dtype=torch.float64)
    x = torch.randn(*rows, shape[0], dtype=torch.float64, requires_grad=True)
    assert products.gains(layer)
    found, known = products.linear(layer, x), layer(x)
    assert found.is_contiguous()
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(gradients(found, x, *layer.parameters()), gradients(known, x, *layer.parameters()))


def test_on_other_processors_nothing_is_turned(monkeypatch):
    monkeypatch.setattr(products, "TURNS", False)
    assert not products.gains(nn.Linear(260, 30))
    assert products.product(torch.randn(7, 260), torch.randn(260, 30)).is_contiguous()


def test_layers_of_fast_widths_or_short_sums_are_left_alone():
    assert not any(products.gains(nn.Linear(*shape)) for shape in [(256, 64), (30, 90), (784, 1560), (1, 20), (13, 1)])


@pytest.mark.parametrize(("shape", "turned"), [((260, 30), "forward"), ((30, 260), "backward"), ((264, 256), None)])
def test_products_of_an_odd_width_are_turned_and_no_others(shape, turned, monkeypatch):
    asked = []
    decide = products.is_turned
    monkeypatch.setattr(products, "is_turned", lambda *given: asked.append(decide(*given)) or asked[-1])
    layer = nn.Linear(*shape)
    products.linear(layer, torch.randn(5, shape[0], requires_grad=True)).sum().backward()
    assert asked == [turned == "forward", turned == "backward"]


def test_in_bfloat16_it_is_torchs_own():
    layer, x = nn.Linear(260, 30), torch.randn(4, 260, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        found, known = products.linear(layer, x), nn.Linear.forward(layer, x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, known)
    found.float().sum().backward()
    assert x.grad is not None


def test_a_frozen_layer_gets_no_gradient():
    layer, x = nn.Linear(260, 30).requires_grad_(False), torch.randn(4, 260, requires_grad=True)
    products.linear(layer, x).sum().backward()
    assert layer.weight.grad is None
    assert x.grad is not None


@pytest.mark.parametrize(
    ("dtype", "width", "turned"), [(torch.float32, 30, True), (torch.float32, 32, False), (torch.bfloat16, 30, False)]
)
def test_a_product_is_the_product_and_lies_turned_in_memory_where_it_was_turned(dtype, width, turned):
    x, weight = torch.randn(7, 260).to(dtype), torch.randn(260, width).to(dtype)
    found = products.product(x, weight)
    torch.testing.assert_close(found, x @ weight)
    assert found.is_contiguous() != turned
