import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fuxi_plugins.layers import (
    BlockTranspose,
    FixedOrthogonal,
    FullLinear,
    GroupedLinear,
    LowRankLinear,
    MixingOptions,
    ResidualMixing,
    block_transpose,
    exchange_heads,
    make_mixing,
)

shapes = st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4))  # B, T, D/T


def tokens(batch: int, num_tokens: int, token_dim: int) -> torch.Tensor:
    return torch.randn(batch, num_tokens, token_dim, dtype=torch.float64)


def matrix_of(linear_map, num_tokens: int, token_dim: int) -> torch.Tensor:
    """The (TD, TD) matrix M of a linear map of the tokens, vec(map(X)) = M vec(X), read off the unit vectors."""
    units = torch.eye(num_tokens * token_dim, dtype=torch.float64).view(-1, num_tokens, token_dim)
    return linear_map(units).flatten(1).T


@given(shapes)
def test_p_is_its_own_inverse_and_only_moves_values(shape):
    batch, num_tokens, part = shape
    x = tokens(batch, num_tokens, num_tokens * part)
    assert torch.equal(block_transpose(block_transpose(x)), x)
    assert torch.equal(block_transpose(x).flatten(1).sort().values, x.flatten(1).sort().values)


@given(shapes)
def test_p_gives_head_h_of_token_t_to_place_t_of_new_token_h(shape):
    batch, num_tokens, part = shape
    x = tokens(batch, num_tokens, num_tokens * part)
    mixed = block_transpose(x)
    for t in range(num_tokens):
        for h in range(num_tokens):
            head = x[:, t, h * part : (h + 1) * part]
            assert torch.equal(mixed[:, h, t * part : (t + 1) * part], head)


@given(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3)))
def test_heads_exchanged_there_and_back_are_where_they_were(shape):
    batch, num_tokens, num_heads, part = shape
    x = tokens(batch, num_tokens, num_heads * part)
    mixed = exchange_heads(x, num_heads)
    assert mixed.shape == (batch, num_heads, num_tokens * part)
    for h in range(num_heads):
        assert torch.equal(mixed[:, h], x[:, :, h * part : (h + 1) * part].flatten(1))
    assert torch.equal(exchange_heads(mixed, num_tokens), x)


def test_p_is_the_matrix_transpose_where_t_equals_d():
    x = tokens(2, 5, 5)
    assert torch.equal(block_transpose(x), x.transpose(1, 2))


@pytest.mark.parametrize(("num_tokens", "token_dim"), [(2, 4), (3, 6), (4, 4), (5, 10)])
def test_i_plus_p_is_singular_of_rank_half_d_times_t_plus_one(num_tokens, token_dim):
    p = matrix_of(block_transpose, num_tokens, token_dim)
    rank = torch.linalg.matrix_rank(torch.eye(len(p), dtype=p.dtype) + p)
    assert rank == token_dim * (num_tokens + 1) // 2


def test_full_mixing_with_w_equal_to_p_is_the_block_transpose_mixing():
    x = tokens(3, 3, 6)
    full = ResidualMixing(FullLinear(3, 6), 3, 6).double()
    nn.init.zeros_(full.map.linear.bias)
    full.map.linear.weight.data.copy_(matrix_of(block_transpose, 3, 6))
    torch.testing.assert_close(full(x), x + block_transpose(x))
    torch.testing.assert_close(full(x), ResidualMixing(BlockTranspose(3, 6), 3, 6)(x))


def test_full_mixing_with_w_zero_is_the_identity():
    x = tokens(3, 3, 5)
    full = make_mixing("full", 3, 5, norm="before").double()
    nn.init.zeros_(full.map.linear.weight)
    nn.init.zeros_(full.map.linear.bias)
    assert torch.equal(full(x), x)


def jacobian_blocks(mixing: nn.Module, num_tokens: int, token_dim: int) -> torch.Tensor:
    """(T, T) of booleans: whether new token i depends on token j."""
    x = tokens(1, num_tokens, token_dim)
    jacobian = torch.autograd.functional.jacobian(mixing, x)  # (1, T, D, 1, T, D)
    return jacobian.squeeze(3).squeeze(0).abs().amax(dim=(1, 3)) > 0


def test_grouped_by_26_at_26_by_30_mixes_no_tokens():
    grouped = ResidualMixing(GroupedLinear(26, 30, groups=26), 26, 30).double()
    assert torch.equal(jacobian_blocks(grouped, 26, 30), torch.eye(26, dtype=torch.bool))


def test_grouped_by_2_at_24_by_48_mixes_within_the_halves():
    grouped = make_mixing("grouped", 24, 48, norm="after", options=MixingOptions(groups=2)).double()
    half = torch.ones(12, 12, dtype=torch.bool)
    assert torch.equal(jacobian_blocks(grouped, 24, 48), torch.block_diag(half, half).bool())


def test_full_mixing_lets_every_token_see_every_token():
    assert jacobian_blocks(make_mixing("full", 4, 3, norm="before").double(), 4, 3).all()


def test_norm_before_is_over_all_values_and_norm_after_over_each_token():
    x = tokens(2, 3, 4)
    before = ResidualMixing(nn.Identity(), 3, 4, norm="before").double()
    after = ResidualMixing(nn.Identity(), 3, 4, norm="after").double()
    scale = x.flatten(1).square().mean(1).sqrt().view(2, 1, 1)
    torch.testing.assert_close(before(x), x + x / scale)
    torch.testing.assert_close(after(x), nn.functional.layer_norm(2 * x, (4,)))


def test_a_rotation_keeps_lengths_and_angles_mixes_every_token_and_is_not_learned():
    rotation = FixedOrthogonal(3, 4).double()
    x = tokens(5, 3, 4).flatten(1)
    rotated = rotation(x.view(5, 3, 4)).flatten(1)
    torch.testing.assert_close(rotated @ rotated.T, x @ x.T, rtol=1e-5, atol=1e-5)  # Q was drawn in float32
    assert jacobian_blocks(rotation, 3, 4).all()
    assert not list(rotation.parameters())
    assert "rotation" in rotation.state_dict()
    torch.manual_seed(7)
    first = FixedOrthogonal(3, 4).rotation
    torch.manual_seed(7)
    assert torch.equal(FixedOrthogonal(3, 4).rotation, first)
    assert not torch.equal(FixedOrthogonal(3, 4).rotation, first)


def test_a_low_rank_map_has_that_rank_and_can_be_the_full_map_cut_to_it():
    low = LowRankLinear(3, 4, rank=5, bias=False).double()
    matrix = matrix_of(low, 3, 4)
    assert torch.linalg.matrix_rank(matrix) == 5
    full = FullLinear(3, 4, bias=False).double()
    full.linear.weight.data.copy_(matrix)
    x = tokens(2, 3, 4)
    torch.testing.assert_close(full(x), low(x))


def test_the_weight_beside_the_residual_makes_i_plus_p_regular():
    """I + P loses half of all block-antisymmetric directions; I + aP, |a| != 1, loses none."""
    x = tokens(2, 3, 6)
    scaled = make_mixing("block_transpose", 3, 6, None, MixingOptions(scale=0.5))
    torch.testing.assert_close(scaled(x), x + 0.5 * block_transpose(x))
    assert torch.linalg.matrix_rank(matrix_of(scaled, 3, 6)) == 18
    assert torch.linalg.matrix_rank(matrix_of(make_mixing("block_transpose", 3, 6, None), 3, 6)) == 12


def test_a_weight_of_zero_leaves_the_tokens_as_they_are():
    x = tokens(2, 3, 6)
    assert torch.equal(make_mixing("block_transpose", 3, 6, None, MixingOptions(scale=0.0))(x), x)


@pytest.mark.parametrize(
    ("kind", "options", "bias", "weights", "biases"),
    [
        ("full", {}, True, 18 * 18, 18),
        ("full", {}, False, 18 * 18, 0),
        ("low_rank", {"rank": 5}, True, 2 * 5 * 18, 18),
        ("low_rank", {"rank": 5}, False, 2 * 5 * 18, 0),
        ("low_rank", {"rank": 18}, False, 2 * 18 * 18, 0),  # the highest rank there is
        ("grouped", {"groups": 2}, True, 9 * 9, 0),  # has none, whatever is asked for
    ],
)
def test_each_map_has_these_weights_and_biases(kind, options, bias, weights, biases):
    made = make_mixing(kind, 3, 6, None, MixingOptions(**options), bias)
    assert sum(p.numel() for p in made.parameters() if p.dim() == 2) == weights
    assert sum(p.numel() for p in made.parameters() if p.dim() == 1) == biases


def test_without_the_residual_the_map_stands_alone():
    x = tokens(2, 3, 6)
    assert torch.equal(make_mixing("block_transpose", 3, 6, None, MixingOptions(residual=False))(x), block_transpose(x))
    normed = make_mixing("block_transpose", 3, 6, "after", MixingOptions(residual=False)).double()
    torch.testing.assert_close(normed(x), nn.functional.layer_norm(block_transpose(x), (6,)))


@pytest.mark.parametrize(
    ("kind", "num_tokens", "token_dim", "options", "message"),
    [
        ("block_transpose", 15, 26, {},
         "token width must be a multiple of the number of tokens, but token_dim=26 and num_tokens=15; "
         "the nearest that fits is 30"),
        ("grouped", 4, 6, {"groups": 5},
         "the number of groups must divide num_tokens * token_dim, but mixing_groups=5 and 4 * 6 = 24; "
         "the nearest that fits is 6"),
        ("grouped", 4, 6, {}, "mixing='grouped' needs mixing_groups, which is not set"),
        ("low_rank", 4, 6, {}, "mixing='low_rank' needs mixing_rank, which is not set"),
        ("low_rank", 4, 6, {"rank": 25},
         "a rank is at most num_tokens * token_dim, but mixing_rank=25 and 4 * 6 = 24"),
        ("full", 4, 6, {"groups": 2},
         "mixing_groups has no meaning with mixing='full', but mixing_groups=2; leave it out"),
        ("orthogonal", 4, 6, {"rank": 2},
         "mixing_rank has no meaning with mixing='orthogonal', but mixing_rank=2; leave it out"),
        ("none", 4, 6, {"scale": 2.0},
         "mixing_scale has no meaning with mixing='none', but mixing_scale=2.0; leave it out"),
        ("full", 4, 6, {"scale": 2.0, "residual": False},
         "mixing_scale has no meaning without the residual, but mixing_scale=2.0; leave it out"),
        ("none", 4, 6, {"residual": False},
         "mixing_residual has no meaning with mixing='none', but mixing_residual=False; leave it out"),
        ("full", 0, 6, {}, "num_tokens must be at least 1, but num_tokens=0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_what_would(kind, num_tokens, token_dim, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_mixing(kind, num_tokens, token_dim, norm=None, options=MixingOptions(**options))
