import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fuxi_plugins.layers import (
    Dropout,
    JointTokenizer,
    PerTokenTokenizer,
    ReshapeTokenizer,
    RMSNorm,
    SharedTokenizer,
    make_tokenizer,
    tokenizers,
)


def embeddings(rows: int, width: int) -> torch.Tensor:
    return torch.randn(rows, width, dtype=torch.float64)


def normed(flat: torch.Tensor) -> torch.Tensor:
    return flat / flat.square().mean(dim=1, keepdim=True).sqrt()


def test_reshape_is_the_normed_vector_cut_in_order():
    flat = embeddings(3, 12)
    torch.testing.assert_close(ReshapeTokenizer(12, 3, 4).double()(flat), normed(flat).view(3, 3, 4))


def test_shared_applies_one_mlp_to_each_slice():
    flat, tokenizer = embeddings(3, 12), SharedTokenizer(12, 4, 5, hidden_units=[7]).double()
    tokens = tokenizer(flat)
    assert tokens.shape == (3, 4, 5)
    for t in range(4):
        torch.testing.assert_close(tokens[:, t], tokenizer.mlp(normed(flat)[:, 3 * t : 3 * t + 3]))


def test_joint_applies_one_mlp_to_all_and_cuts_in_order():
    flat, tokenizer = embeddings(3, 11), JointTokenizer(11, 4, 5, hidden_units=[7]).double()
    torch.testing.assert_close(tokenizer(flat).flatten(1), tokenizer.mlp(normed(flat)))


def test_per_token_projects_each_slice_by_its_own_matrix_and_pads_the_end_with_zeros():
    flat, tokenizer = embeddings(3, 11), PerTokenTokenizer(11, 4, 5).double()  # slices of 3, the last padded by 1
    nn.init.normal_(tokenizer.projection.bias)
    padded = torch.cat([normed(flat), torch.zeros(3, 1)], dim=1)
    for t in range(4):
        weight, bias = tokenizer.projection.weight[t], tokenizer.projection.bias[t]
        torch.testing.assert_close(tokenizer(flat)[:, t], padded[:, 3 * t : 3 * t + 3] @ weight + bias)


def test_pieces_change_nothing(monkeypatch):
    flat, tokenizer = embeddings(5, 12), SharedTokenizer(12, 3, 4, hidden_units=[7]).double()
    whole = tokenizer(flat)
    monkeypatch.setattr(tokenizers, "PIECE", 4)
    torch.testing.assert_close(tokenizer(flat), whole)


def test_the_mlp_is_linear_norm_relu_dropout_for_each_width():
    def kinds(tokenizer):
        return [type(layer) for layer in tokenizer.mlp]

    with_norm = SharedTokenizer(12, 3, 4, hidden_units=[7, 6], norm=True, dropout=0.1)
    assert kinds(with_norm) == [nn.Linear, RMSNorm, nn.ReLU, Dropout] * 2 + [nn.Linear]
    without = JointTokenizer(12, 3, 4, hidden_units=[7], norm=False)
    assert kinds(without) == [nn.Linear, nn.ReLU, nn.Linear]
    for kind in ("shared", "joint"):
        made = make_tokenizer(kind, 12, 3, 4, hidden_units=[7, 6], norm=False, dropout=0.1)
        assert kinds(made) == [nn.Linear, nn.ReLU, Dropout] * 2 + [nn.Linear]
        assert {layer.p for layer in made.mlp if isinstance(layer, Dropout)} == {0.1}


@settings(max_examples=25)
@given(input_dim=st.integers(1, 60), num_tokens=st.integers(1, 12), token_dim=st.integers(1, 6))
def test_joint_fits_any_width(input_dim, num_tokens, token_dim):
    tokens = make_tokenizer("joint", input_dim, num_tokens, token_dim, hidden_units=[3])(torch.randn(2, input_dim))
    assert tokens.shape == (2, num_tokens, token_dim)


@given(input_dim=st.integers(1, 60), num_tokens=st.integers(1, 20))
def test_the_fitting_number_that_an_error_names_does_fit(input_dim, num_tokens):
    for kind in ("shared", "per_token"):
        try:
            make_tokenizer(kind, input_dim, num_tokens, 2, hidden_units=[3])
        except ValueError as error:
            make_tokenizer(kind, input_dim, int(str(error).split()[-1]), 2, hidden_units=[3])


@given(input_dim=st.integers(1, 60), num_tokens=st.integers(1, 20))
def test_the_per_token_tokenizer_takes_what_gives_every_token_a_value(input_dim, num_tokens):
    slices = torch.ones(input_dim).split(math.ceil(input_dim / num_tokens))
    try:
        make_tokenizer("per_token", input_dim, num_tokens, 2)
        assert len(slices) == num_tokens
    except ValueError:
        assert len(slices) < num_tokens


@pytest.mark.parametrize(
    ("kind", "shape", "message"),
    [
        ("shared", (390, 16, 8),
         "the shared tokenizer needs a number of tokens that divides the width of the embeddings, but the embeddings "
         "of a row have 390 values and num_tokens=16; the nearest that fits is 15"),
        ("per_token", (20, 8, 4),
         "the per-token tokenizer must give every token a value that is not padding, but the embeddings of a row "
         "have 20 values and num_tokens=8; the nearest that fits is 7"),
        ("reshape", (768, 24, 16),
         "the reshape tokenizer needs num_tokens * token_dim values, but the embeddings of a row have 768 values and "
         "24 * 16 = 384; the nearest that fits is token_dim=32"),
        ("joint", (10, 4, 0), "token_dim must be at least 1, but token_dim=0"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_with_what_would(kind, shape, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make_tokenizer(kind, *shape)
