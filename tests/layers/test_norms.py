import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fuxi_plugins.layers import LayerNorm, RMSNorm, rms_norm
from fuxi_plugins.layers.norms import rms_norm_by_torch


def test_a_hand_worked_row():
    x = torch.tensor([[3.0, -4.0, 0.0, 0.0]])  # mean square 25 / 4, root 2.5
    expected = torch.tensor([[1.2, -1.6, 0.0, 0.0]])
    torch.testing.assert_close(rms_norm(x, torch.ones(4)), expected)
    torch.testing.assert_close(rms_norm(x, torch.tensor([1.0, 2.0, 3.0, 4.0])), expected * torch.tensor([1, 2, 3, 4]))


def test_values_as_small_as_fresh_embeddings_come_out_at_scale_one():
    normed = RMSNorm(64)(1e-4 * torch.randn(5, 64))
    torch.testing.assert_close(normed.square().mean(-1).sqrt(), torch.ones(5), rtol=1e-3, atol=0)


@pytest.mark.parametrize("norm", [rms_norm, rms_norm_by_torch])
def test_a_row_of_zeros_stays_zero_and_stops_its_gradient_alone(norm):
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 0.0]], requires_grad=True)
    gain = torch.tensor([1.0, 2.0, 3.0])
    normed = norm(x, gain)
    (normed * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert normed[0].eq(0).all()
    assert x.grad[0].eq(0).all()
    alone = x[1:].detach().requires_grad_()
    (norm(alone, gain) * torch.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert alone.grad.abs().min() > 0.1
    torch.testing.assert_close(x.grad[1:], alone.grad)


@pytest.mark.parametrize("norm", [rms_norm, rms_norm_by_torch])
def test_norms_in_a_row_do_not_blow_up_the_gradient_of_a_zero_token(norm):
    x = torch.zeros(1, 4)
    layers = [nn.Linear(4, 4) for _ in range(6)]
    for layer in layers:
        nn.init.zeros_(layer.bias)
        x = norm(layer(x), torch.ones(4))
    x.sum().backward()
    assert nn.utils.get_total_norm([p.grad for layer in layers for p in layer.parameters()]) < 10


@settings(max_examples=25)
@given(width=st.integers(1, 9), rows=st.integers(1, 5), scale=st.floats(0.1, 10.0))
def test_the_scale_of_a_row_does_not_matter(width, rows, scale):
    x = torch.randn(rows, width, dtype=torch.float64)
    gain = torch.randn(width, dtype=torch.float64)
    torch.testing.assert_close(rms_norm(scale * x, gain), rms_norm(x, gain))


@pytest.mark.parametrize("scale", [1.0, 1e-9])  # only a row of nothing but zeros is one apart
def test_equal_to_torchs_own_in_value_and_gradient(scale):
    ours, torchs = RMSNorm(7).double(), nn.RMSNorm(7, eps=1e-12).double()
    nn.init.normal_(ours.gain)
    torchs.weight.data.copy_(ours.gain.data)
    x = (scale * torch.randn(4, 5, 7, dtype=torch.float64)).requires_grad_()
    weights = torch.randn(4, 5, 7, dtype=torch.float64)
    ours_grads = torch.autograd.grad((ours(x) * weights).sum(), [x, ours.gain])
    torchs_grads = torch.autograd.grad((torchs(x) * weights).sum(), [x, torchs.weight])
    torch.testing.assert_close(ours(x), torchs(x))
    torch.testing.assert_close(ours_grads, torchs_grads)


def test_gradient_against_finite_differences_for_every_way_the_gain_broadcasts():
    for gain_shape in [(5,), (1, 5), (3, 1, 5)]:
        x = torch.randn(3, 2, 5, dtype=torch.float64, requires_grad=True)
        gain = torch.randn(gain_shape, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(rms_norm, (x, gain))


@pytest.mark.parametrize("norm", [rms_norm, torch.compile(rms_norm, backend="eager", fullgraph=True)])
def test_in_mixed_precision_the_norm_is_float32_and_its_result_of_the_type_of_x(norm):
    x, weights = torch.randn(6, 40).bfloat16().requires_grad_(), torch.randn(6, 40)
    gain = torch.rand(40, requires_grad=True)
    normed = norm(x, gain)
    assert torch.equal(normed, rms_norm(x.float(), gain).bfloat16())
    grad_x, grad_gain = torch.autograd.grad((normed * weights).sum(), [x, gain])
    exact = torch.autograd.grad((rms_norm(x.float(), gain) * weights.bfloat16().float()).sum(), [x, gain])
    assert (grad_x.dtype, grad_gain.dtype) == (torch.bfloat16, torch.float32)
    torch.testing.assert_close((grad_x, grad_gain), exact, rtol=1e-2, atol=1e-2, check_dtype=False)


def test_in_mixed_precision_layer_norm_is_torchs_in_float32():
    norm, x = LayerNorm(40), torch.randn(6, 40).bfloat16()
    nn.init.normal_(norm.weight)
    assert torch.equal(norm(x), nn.LayerNorm.forward(norm, x.float()).bfloat16())
    assert torch.equal(norm(x.float()), nn.LayerNorm.forward(norm, x.float()))
