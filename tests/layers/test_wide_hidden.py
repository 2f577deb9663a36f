"""A wide hidden layer computed as a whole is the layers one after the other, and so are its gradients."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from fuxi_plugins.layers import SharedTokenizer, tokenizers, wide_hidden
from fuxi_plugins.layers.tokenizers import in_pieces, mlp
from fuxi_plugins.layers.wide_hidden import through_wide_hidden

PIECE = 4


def network(k: int = 3, hidden: int = 13, width: int = 5, norm: bool = True, dropout: float = 0.0) -> nn.Sequential:
    made = mlp(k, [hidden], width, norm, dropout).double()
    for parameter in made.parameters():
        nn.init.normal_(parameter)  # gains of both signs among them
    return made


def rows(count: int, k: int = 3) -> Tensor:
    return torch.randn(count, k, dtype=torch.float64, requires_grad=True)


def value_and_gradients(out: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    weights = torch.arange(out.numel(), dtype=out.dtype).view_as(out).cos()
    return out, *torch.autograd.grad((out * weights).sum(), of)


@settings(max_examples=30)
@given(
    count=st.integers(1, 10), k=st.integers(1, 4), hidden=st.integers(1, 20), width=st.integers(1, 9),
    norm=st.booleans(), dropout=st.sampled_from([0.0, 0.4]),
)  # fmt: skip
def test_it_is_the_layers_in_value_and_gradients(count, k, hidden, width, norm, dropout):
    net, x, found = network(k, hidden, width, norm, dropout), rows(count, k), []
    for way in (lambda: through_wide_hidden(net, x, PIECE), lambda: torch.cat([net(p) for p in x.split(PIECE)])):
        torch.manual_seed(0)
        found.append(value_and_gradients(way(), x, *net.parameters()))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("norm", [True, False])
def test_gradient_against_finite_differences(norm):
    net, x = network(norm=norm, dropout=0.3), rows(6)

    def computed(x, *parameters):  # which gradcheck changes in place
        torch.manual_seed(0)
        return through_wide_hidden(net, x, PIECE)

    assert torch.autograd.gradcheck(computed, (x, *net.parameters()))


def test_a_hidden_layer_of_zeros_stays_zero_and_stops_its_gradient_alone():
    net = network()
    nn.init.zeros_(net[0].bias)
    x = torch.tensor([[0.0, 0.0, 0.0], [1.0, -2.0, 0.5]], dtype=torch.float64, requires_grad=True)
    out = through_wide_hidden(net, x, PIECE)
    torch.testing.assert_close(out[0], net[-1].bias)
    out.sum().backward()
    assert x.grad[0].eq(0).all()
    assert x.grad[1].abs().min() > 0


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_it_is_the_layers_for_rows_of_any_size(scale):
    net, x = network(), scale * rows(5)
    nn.init.zeros_(net[0].bias)
    found, known = through_wide_hidden(net, x, PIECE), net(x)
    torch.testing.assert_close(value_and_gradients(found, x), value_and_gradients(known, x))


def test_its_rounding_is_that_of_the_layers_where_the_first_one_nearly_loses_a_direction():
    torch.manual_seed(0)
    exact = network(k=4, hidden=200)
    with torch.no_grad():
        directions, sizes, others = torch.linalg.svd(exact[0].weight, full_matrices=False)
        sizes[-1] *= 1e-3
        exact[0].weight.copy_(directions @ sizes.diag() @ others)
        nn.init.zeros_(exact[0].bias)
    x = others[-1] + 1e-3 * torch.randn(50, 4, dtype=torch.float64)  # along the direction that is nearly lost
    true = exact(x)
    net = network(k=4, hidden=200).float()
    net.load_state_dict(exact.state_dict())
    whole, layers = ((way - true).norm() for way in (through_wide_hidden(net, x.float(), PIECE), net(x.float())))
    assert whole < 10 * layers  # by the squares of the rows of W1 it would be a thousand


def test_without_gradients_and_in_evaluation_it_is_the_layers_too():
    net, x = network(dropout=0.4), rows(7)
    with torch.no_grad():
        torch.testing.assert_close(through_wide_hidden(net.eval(), x, PIECE), net(x))
    torch.testing.assert_close(through_wide_hidden(net, x, PIECE), net(x))


def test_weights_that_are_no_numbers_make_the_result_none():
    net = network()
    with torch.no_grad():
        net[0].weight[0, 0] = torch.inf
    assert through_wide_hidden(net, rows(2), PIECE).isnan().all()


def test_a_frozen_layer_gets_no_gradient():
    net, x = network(), rows(2)
    net[0].requires_grad_(False)
    through_wide_hidden(net, x, PIECE).sum().backward()
    assert net[0].weight.grad is None
    assert net[-1].weight.grad is not None
    assert x.grad is not None


@pytest.mark.parametrize(("hidden_units", "gains"), [([12], True), ([11], False), ([12, 12], False), ([], False)])
def test_the_shared_tokenizer_takes_it_where_it_gains(hidden_units, gains, monkeypatch):
    taken = []
    monkeypatch.setattr(tokenizers, "through_wide_hidden", lambda net, x, piece: taken.append(x) or in_pieces(net, x))
    SharedTokenizer(6, 2, 4, hidden_units)(torch.randn(5, 6))  # slices of 3
    assert bool(taken) == gains


def test_within_compiled_code_layers_stay_layers(monkeypatch):
    x = torch.randn(5, 3)
    assert wide_hidden.gains(x, [12])
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not wide_hidden.gains(x, [12])


@pytest.mark.parametrize("norm", [True, False])
def test_in_bfloat16_it_is_as_near_the_exact_layers_as_the_layers_in_bfloat16(norm):
    torch.manual_seed(0)
    exact, x = network(k=16, hidden=200, norm=norm), rows(300, 16)
    true = value_and_gradients(exact(x), x, *exact.parameters())
    net, x = network(k=16, hidden=200, norm=norm).float(), x.detach().float().requires_grad_()
    net.load_state_dict(exact.state_dict())
    errors = []
    for way in (lambda: through_wide_hidden(net, x, 128), lambda: net(x)):
        with torch.autocast("cpu", torch.bfloat16):
            out = way()
            assert through_wide_hidden(net, x.bfloat16(), 128).dtype == torch.bfloat16  # as a layer before gives it
        assert out.dtype == torch.bfloat16
        found = value_and_gradients(out.double(), x, *net.parameters())
        assert all(gradient.dtype == torch.float32 for gradient in found[1:])
        errors.append([(mine - known).norm() / known.norm() for mine, known in zip(found, true, strict=True)])
    for whole, layers in zip(*errors, strict=True):
        assert whole < 1.5 * layers
