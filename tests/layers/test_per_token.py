import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fuxi_plugins.layers import (
    PerTokenGLU,
    PerTokenLinear,
    PerTokenRMSNorm,
    PerTokenSkipGLU,
    PerTokenSwiGLU,
    glu_ffn,
    mlp_ffn,
)

T, D, B = 3, 4, 5

NETWORKS = {
    "linear": lambda: PerTokenLinear(T, D, 6),
    "linear without bias": lambda: PerTokenLinear(T, D, 6, bias=False),
    "norm": lambda: PerTokenRMSNorm(T, D),
    "glu": lambda: PerTokenGLU(T, D, 1.5),
    "swiglu": lambda: PerTokenSwiGLU(T, D, 1.5),
    "skip glu": lambda: PerTokenSkipGLU(T, D, 2.0),
    "skip glu, r = 1": lambda: PerTokenSkipGLU(T, D, 1.0),
    "glu ffn": lambda: glu_ffn(T, D, [6, 6, D], 1.5),
    "glu ffn without norm": lambda: glu_ffn(T, D, [D], 3.0, norm=False),
    "gelu ffn": lambda: mlp_ffn(T, D, [6, 7], "gelu"),
    "relu ffn with norm": lambda: mlp_ffn(T, D, [6, 7], "relu", norm=True),
    "no hidden layer": lambda: mlp_ffn(T, D, []),
}


@pytest.fixture(params=NETWORKS, ids=lambda name: name)
def network(request):
    torch.manual_seed(0)
    made = NETWORKS[request.param]().double()
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made


def tokens() -> torch.Tensor:
    return torch.randn(B, T, D, dtype=torch.float64, requires_grad=True)


def permute_tokens(network: nn.Module, order: list[int]) -> None:
    for parameter in network.parameters():
        parameter.data = parameter.data[order]


def test_both_walks_compute_the_same_values_and_gradients(network):
    x, results = tokens(), []
    for walk in ("together", "one_by_one"):
        for module in network.modules():
            module.walk = walk
        out = network(x)
        weights = torch.arange(out.numel(), dtype=out.dtype).view_as(out).cos()
        results.append((out, torch.autograd.grad((out * weights).sum(), [x, *network.parameters()])))
    torch.testing.assert_close(results[0], results[1])


def test_tokens_permuted_together_with_their_weights_permute_the_output(network):
    x, order = tokens(), [2, 0, 1]
    out = network(x)
    permute_tokens(network, order)
    torch.testing.assert_close(network(x[:, order]), out[:, order])


def test_a_token_depends_on_itself_alone(network):
    jacobian = torch.autograd.functional.jacobian(network, tokens()[:1])  # (1, T, out, 1, T, D)
    depends = jacobian.squeeze(3).squeeze(0).abs().amax(dim=(1, 3)) > 0
    assert torch.equal(depends, torch.eye(T, dtype=torch.bool))


def test_every_weight_of_every_token_learns(network):
    network(tokens()).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert (parameter.grad.flatten(1).abs().amax(dim=1) > 0).all(), name


def test_dropout_acts_in_training_alone():
    torch.manual_seed(0)
    for ffn in (glu_ffn(T, D, [6], 2.0, dropout=0.5), mlp_ffn(T, D, [6], dropout=0.5)):
        x = torch.randn(B, T, D)
        assert not torch.equal(ffn(x), ffn(x))
        ffn.eval()
        assert torch.equal(ffn(x), ffn(x))


def linear_of(layer: PerTokenLinear, token: int) -> nn.Linear:
    """The same map as a module of its own."""
    linear = nn.Linear(*layer.weight.shape[1:]).double()
    linear.weight.data.copy_(layer.weight[token].T)
    linear.bias.data.copy_(layer.bias[token, 0])
    return linear


@settings(max_examples=20)
@given(
    num_tokens=st.integers(1, 4),
    width=st.integers(1, 5),
    hidden_units=st.lists(st.integers(1, 6), max_size=3),
    activation=st.sampled_from(["gelu", "relu"]),
)
def test_an_ffn_equals_t_separate_networks(num_tokens, width, hidden_units, activation):
    ffn = mlp_ffn(num_tokens, width, hidden_units, activation).double()
    for parameter in ffn.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(B, num_tokens, width, dtype=torch.float64)
    out = ffn(x)
    for t in range(num_tokens):
        layers = [linear_of(layer, t) if isinstance(layer, PerTokenLinear) else layer for layer in ffn]
        torch.testing.assert_close(out[:, t], nn.Sequential(*layers)(x[:, t]))


def test_the_glu_of_the_paper():
    glu = PerTokenGLU(T, D, 3.0).double()
    x = torch.randn(B, T, D, dtype=torch.float64)
    for t in range(T):
        w1, w2, w3 = glu.gate.weight[t], glu.value.weight[t], glu.down.weight[t]
        expected = (nn.functional.gelu(x[:, t] @ w1) * (x[:, t] @ w2)) @ w3
        torch.testing.assert_close(glu(x)[:, t], expected)


def test_r_equal_to_one_has_neither_lift_nor_down():
    names = {name for name, _ in PerTokenSkipGLU(T, D, 1.0).named_children()}
    assert names == {"gate", "value", "skip"}


def test_the_expansion_decides_for_lift_and_down_even_where_the_hidden_width_is_the_same():
    names = {name for name, _ in PerTokenSkipGLU(T, D, 1.2).named_children()}  # 1.2 * 4 is rounded down to 4
    assert names == {"gate", "value", "skip", "lift", "down"}


@pytest.mark.parametrize(("expansion", "hidden"), [(1.7, 6), (1.5, 6), (0.25, 1), (2.0, 8)])
def test_the_hidden_width_is_rounded_down(expansion, hidden):
    assert PerTokenGLU(T, D, expansion).gate.weight.shape == (T, D, hidden)


def test_each_token_starts_as_the_linear_it_stands_for():
    torch.manual_seed(0)
    layer = PerTokenLinear(3, 300, 500)
    for weight in layer.weight:
        assert math.isclose(weight.std().item(), math.sqrt(2 / 800), rel_tol=0.02)
    assert layer.bias.eq(0).all()


def test_init_weights_starts_anew():
    layer = PerTokenLinear(T, D, D)
    nn.init.constant_(layer.weight, 7.0)
    nn.init.constant_(layer.bias, 7.0)
    layer.init_weights()
    assert layer.weight.abs().max() < 7
    assert layer.bias.eq(0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mlp_ffn(T, D, [8, 0]), "every width in ffn_hidden_units must be at least 1, but"),
        (
            lambda: glu_ffn(T, D, [8], 3.0, dropout=1.0),
            "ffn_dropout must be at least 0 and below 1, but ffn_dropout=1.0",
        ),
        (lambda: glu_ffn(T, D, [8], 0.1), "ffn_expansion=0.1 and the width is 4; the nearest that fits is 0.25"),
        (lambda: PerTokenLinear(0, D, D), "num_tokens must be at least 1, but num_tokens=0"),
    ],
)
def test_what_does_not_fit_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()
