import pytest
import torch

from fuxi_plugins.layers import make_head

T, D = 3, 4


def parameter_count(head) -> int:
    return sum(parameter.numel() for parameter in head.parameters())


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [("mlp", (12 * 24 + 24) + (24 + 1)), ("linear", 12 + 1), ("mean_pool", 4 + 1), ("mean", 0)],
)
def test_one_logit_a_row_from_so_many_parameters(kind, parameters):
    head = make_head(kind, T, D)
    assert head(torch.randn(5, T, D)).shape == (5, 1)
    assert parameter_count(head) == parameters


def test_the_heads_that_read_a_mean():
    x = torch.arange(24.0).view(2, T, D)
    assert make_head("mean", T, D)(x).tolist() == [[5.5], [17.5]]
    pooled = make_head("mean_pool", T, D)
    torch.testing.assert_close(pooled(x), pooled.linear(torch.tensor([[4.0, 5, 6, 7], [16, 17, 18, 19]])))


def test_the_flat_heads_read_the_tokens_in_order():
    x = torch.randn(2, T, D)
    linear = make_head("linear", T, D)
    torch.testing.assert_close(linear(x), x.reshape(2, 12) @ linear[1].weight.T + linear[1].bias)
