"""Sparse per-token experts, spelled out row by row, and as TokenMixer-Large has them."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fuxi_plugins.layers import PerTokenExperts, PerTokenSwiGLU
from fuxi_plugins.models.tokenmixer_large import TokenMixerLarge
from tests.models import tiny

T, D, E, K = 3, 4, 4, 2
DENSE = {"num_tokens": 4, "token_dim": 8, "num_heads": 2, "num_blocks": 3}


def experts(k: int = K, **more) -> PerTokenExperts:
    torch.manual_seed(0)
    made = PerTokenExperts(T, D, 2.0, E, k, **more).double()
    tiny.randomize(made, scale=0.5)
    return made


def rows() -> Tensor:
    return torch.randn(5, T, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def slow_swiglu(network: PerTokenSwiGLU, place: int, x: Tensor) -> Tensor:
    gate, up, down = ((part.weight[place], part.bias[place, 0]) for part in (network.gate, network.up, network.down))
    return (F.silu(x @ gate[0] + gate[1]) * (x @ up[0] + up[1])) @ down[0] + down[1]


@pytest.mark.parametrize(("k", "scale", "shared"), [(1, None, True), (2, 0.7, True), (2, None, False), (4, 1.0, True)])
def test_values_are_those_of_the_equations(k, scale, shared):
    made, x = experts(k, scale=scale, shared=shared), rows()
    expected = torch.zeros_like(x)
    for row in range(5):
        for t in range(T):
            scores = [float(x[row, t] @ made.router.weight[t, :, j].detach()) for j in range(E)]
            best = sorted(range(E), key=lambda j: -scores[j])[:k]
            total = sum(torch.tensor(scores[j]).exp() for j in best)
            for j in best:
                weight = (E / k if scale is None else scale) * torch.tensor(scores[j]).exp() / total
                expected[row, t] += weight * slow_swiglu(made.experts, t * E + j, x[row, t])
            if shared:
                expected[row, t] += slow_swiglu(made.shared, t, x[row, t])
    torch.testing.assert_close(made(x), expected, rtol=0, atol=1e-6)


def test_an_expert_that_is_not_picked_does_not_learn_from_a_row():
    made, x = experts(), rows()[:1]
    made(x).sum().backward()
    of_each = made.experts.down.weight.grad.abs().sum(dim=(1, 2)).view(T, E)
    assert ((of_each > 0).sum(dim=1) == K).all()
    assert torch.equal(of_each > 0, made.gates(x)[0] > 0)


def test_to_exchange_experts_with_their_columns_of_the_router_changes_nothing():
    made, other, x = experts(), experts(), rows()
    order = torch.tensor([2, 0, 3, 1])
    places = torch.arange(T * E).view(T, E)[:, order].flatten()
    with torch.no_grad():
        other.router.weight.copy_(made.router.weight[:, :, order])
        for own, given in zip(other.experts.parameters(), made.experts.parameters(), strict=True):
            own.copy_(given[places])
    torch.testing.assert_close(other(x), made(x))


def test_an_expert_is_a_part_as_wide_as_the_dense_network():
    made = PerTokenExperts(T, D, 3.0, E, K)
    hidden = 3 * D // E
    networks = T * E + T  # with the shared ones
    assert sum(p.numel() for p in made.parameters()) == (networks * (3 * D * hidden + 2 * hidden + D) + T * D * E)


def test_one_expert_is_the_dense_model():
    chosen = {"num_experts": 1, "experts_per_token": 1, "shared_expert": False}
    dense, sparse = tiny.build(TokenMixerLarge, **DENSE), tiny.build(TokenMixerLarge, **DENSE, **chosen)
    tiny.randomize(dense)
    routers = {name: value for name, value in sparse.state_dict().items() if ".router." in name}
    given = {
        name.replace("ffn.", "ffn.experts.") if "blocks." in name else name: value
        for name, value in dense.state_dict().items()
    }
    sparse.load_state_dict(given | routers)
    batch = tiny.columns(8)
    torch.testing.assert_close(sparse(batch)["y_pred"], dense(batch)["y_pred"], rtol=0, atol=1e-7)


def test_the_sparse_model_learns_and_starts_as_nearly_the_identity():
    model = tiny.build(TokenMixerLarge, **DENSE, num_experts=4, learning_rate=1e-2)
    x = torch.randn(8, 4, 8)
    assert 0 < (model.blocks[0](x) - x).abs().max() < 0.2
    batch = tiny.columns(16)
    labels = model.get_labels(batch)
    losses = []
    for _ in range(60):
        model.optimizer.zero_grad()
        losses.append(model.compute_loss(model(batch), labels))
        losses[-1].backward()
        model.optimizer.step()
    assert losses[-1] < 0.5 * losses[0]
    moved = [p.grad is not None and p.grad.abs().max() > 0 for n, p in model.named_parameters() if "router" in n]
    assert all(moved)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"experts_per_token": 1}, "experts_per_token has no meaning without num_experts"),
        ({"shared_expert": False}, "shared_expert has no meaning without num_experts"),
        ({"num_experts": 2, "experts_per_token": 3}, "experts_per_token must be at most num_experts, but"),
        ({"num_experts": 3}, "inner_width must be a multiple of num_experts, but inner_width=32 and num_experts=3"),
        ({"num_experts": 0}, "num_experts must be at least 1"),
    ],
)
def test_what_does_not_fit_is_refused(chosen, message):
    with pytest.raises(ValueError, match=message):
        tiny.build(TokenMixerLarge, **chosen)
