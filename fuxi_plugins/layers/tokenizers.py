"""Tokenizers: from the field embeddings of a row, one flat vector of nk values, to T tokens of width D.

All of them start from RMSNorm of the flat vector, (B, nk) -> (B, T, D).
"""

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import wide_hidden
from .checks import nearest_divisor, require_one_of, require_positive, require_rate, require_widths
from .dropout import Dropout
from .norms import RMSNorm
from .per_token import PerTokenLinear
from .wide_hidden import through_wide_hidden

PIECE = 512  # rows; of a hidden layer of 500, 1 MB

TokenizerKind = Literal["shared", "joint", "per_token", "reshape"]


def mlp(in_features: int, hidden_units: Sequence[int], out_features: int, norm: bool, dropout: float) -> nn.Sequential:
    """Linear -> [RMSNorm] -> ReLU -> [Dropout] for each hidden width, then Linear."""
    check_mlp(hidden_units, dropout)
    layers: list[nn.Module] = []
    width = in_features
    for hidden in hidden_units:
        layers.append(nn.Linear(width, hidden))
        if norm:
            layers.append(RMSNorm(hidden))
        layers.append(nn.ReLU())
        if dropout > 0:
            layers.append(Dropout(dropout))
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, out_features))


def in_pieces(network: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The network applied to x (N, in), on a CPU a few rows at a time.

    For BT rows a hidden layer does not fit the cache of a CPU; for a piece it does, and forward and backward
    of the piece find it there.
    """
    if x.device.type != "cpu":
        return network(x)
    return torch.cat([network(piece) for piece in x.split(PIECE)])


class SharedTokenizer(nn.Module):
    """T equal slices of the flat vector, all through one MLP nk/T -> hidden -> D. T must divide nk."""

    repeated: ClassVar[str] = "token"  # the method that a CPU calls once a piece of the rows, for a compiler

    def __init__(
        self,
        input_dim: int,
        num_tokens: int,
        token_dim: int,
        hidden_units: Sequence[int] = (500,),
        norm: bool = True,
        dropout: float = 0.0,
    ):
        check_tokenizer("shared", input_dim, num_tokens, token_dim)
        super().__init__()
        self.num_tokens = num_tokens
        self.hidden_units = hidden_units
        self.norm = RMSNorm(input_dim)
        self.mlp = mlp(input_dim // num_tokens, hidden_units, token_dim, norm, dropout)

    def forward(self, flat: Tensor) -> Tensor:
        slices = self.norm(flat).view(flat.shape[0] * self.num_tokens, -1)  # (BT, nk/T)
        wide = wide_hidden.gains(slices, self.hidden_units)
        tokens = through_wide_hidden(self.mlp, slices, PIECE) if wide else in_pieces(self.token, slices)
        return tokens.view(flat.shape[0], self.num_tokens, -1)  # (B, T, D)

    def token(self, of_token: Tensor) -> Tensor:
        """(rows, nk/T) -> (rows, D)."""
        return self.mlp(of_token)


class JointTokenizer(nn.Module):
    """The whole flat vector through one MLP nk -> hidden -> TD, then cut into tokens. Fits any nk."""

    def __init__(
        self,
        input_dim: int,
        num_tokens: int,
        token_dim: int,
        hidden_units: Sequence[int] = (500,),
        norm: bool = True,
        dropout: float = 0.0,
    ):
        check_tokenizer("joint", input_dim, num_tokens, token_dim)
        super().__init__()
        self.num_tokens = num_tokens
        self.norm = RMSNorm(input_dim)
        self.mlp = mlp(input_dim, hidden_units, num_tokens * token_dim, norm, dropout)

    def forward(self, flat: Tensor) -> Tensor:
        return self.mlp(self.norm(flat)).view(flat.shape[0], self.num_tokens, -1)  # (B, T, D)


class PerTokenTokenizer(nn.Module):
    """RankMixer's tokenizer: T equal slices of the flat vector, zero-padded at its end, each with a projection.

    x_t = slice_t W_t + b_t, W (T, ceil(nk/T), D). No slice may be padding alone.
    """

    def __init__(self, input_dim: int, num_tokens: int, token_dim: int):
        check_tokenizer("per_token", input_dim, num_tokens, token_dim)
        super().__init__()
        self.num_tokens = num_tokens
        self.slice_dim = -(-input_dim // num_tokens)
        self.norm = RMSNorm(input_dim)
        self.projection = PerTokenLinear(num_tokens, self.slice_dim, token_dim)

    def forward(self, flat: Tensor) -> Tensor:
        padding = self.num_tokens * self.slice_dim - flat.shape[1]
        padded = F.pad(self.norm(flat), (0, padding))  # (B, T * ceil(nk/T))
        return self.projection(padded.view(-1, self.num_tokens, self.slice_dim))  # (B, T, D)


class ReshapeTokenizer(nn.Module):
    """The normed flat vector itself, cut into tokens; needs nk = TD. No parameters beyond the norm's."""

    def __init__(self, input_dim: int, num_tokens: int, token_dim: int):
        check_tokenizer("reshape", input_dim, num_tokens, token_dim)
        super().__init__()
        self.num_tokens = num_tokens
        self.norm = RMSNorm(input_dim)

    def forward(self, flat: Tensor) -> Tensor:
        return self.norm(flat).view(flat.shape[0], self.num_tokens, -1)  # (B, T, D)


def make_tokenizer(
    kind: TokenizerKind,
    input_dim: int,
    num_tokens: int,
    token_dim: int,
    hidden_units: Sequence[int] = (500,),
    norm: bool = True,
    dropout: float = 0.0,
) -> nn.Module:
    """The tokenizer of that kind; the last three settings are those of the MLP in two of them."""
    if kind == "shared":
        return SharedTokenizer(input_dim, num_tokens, token_dim, hidden_units, norm, dropout)
    if kind == "joint":
        return JointTokenizer(input_dim, num_tokens, token_dim, hidden_units, norm, dropout)
    if kind == "per_token":
        return PerTokenTokenizer(input_dim, num_tokens, token_dim)
    return ReshapeTokenizer(input_dim, num_tokens, token_dim)


def check_tokenizer(kind: TokenizerKind, input_dim: int, num_tokens: int, token_dim: int) -> None:
    """The conditions on the shapes of a tokenizer, for use before anything is allocated."""
    require_one_of("tokenizer", kind, TokenizerKind)
    require_positive(input_dim=input_dim, num_tokens=num_tokens, token_dim=token_dim)
    seen = f"the embeddings of a row have {input_dim} values"
    if kind == "shared" and input_dim % num_tokens:
        raise ValueError(
            "the shared tokenizer needs a number of tokens that divides the width of the embeddings, but "
            f"{seen} and num_tokens={num_tokens}; "
            f"the nearest that fits is {nearest_divisor(num_tokens, input_dim)}"
        )
    if kind == "per_token" and not fills_every_token(input_dim, num_tokens):
        fitting = min(
            (tokens for tokens in range(1, input_dim + 1) if fills_every_token(input_dim, tokens)),
            key=lambda tokens: abs(tokens - num_tokens),
        )
        raise ValueError(
            f"the per-token tokenizer must give every token a value that is not padding, but {seen} "
            f"and num_tokens={num_tokens}; the nearest that fits is {fitting}"
        )
    if kind == "reshape" and input_dim != num_tokens * token_dim:
        remedy = (
            f"token_dim={input_dim // num_tokens}"
            if input_dim % num_tokens == 0
            else f"num_tokens={nearest_divisor(num_tokens, input_dim)} with token_dim to match"
        )
        raise ValueError(
            f"the reshape tokenizer needs num_tokens * token_dim values, but {seen} "
            f"and {num_tokens} * {token_dim} = {num_tokens * token_dim}; the nearest that fits is {remedy}"
        )


def check_mlp(hidden_units: Sequence[int], dropout: float) -> None:
    """The conditions on the MLP of a tokenizer, for use before anything is allocated."""
    require_widths("tokenizer_hidden_units", hidden_units)
    require_rate("tokenizer_dropout", dropout)


def fills_every_token(input_dim: int, num_tokens: int) -> bool:
    """Whether the last of T slices of ceil(nk/T) values holds anything but padding.

    >>> fills_every_token(20, 8), fills_every_token(20, 7)
    (False, True)
    """
    return -(-input_dim // num_tokens) * (num_tokens - 1) < input_dim
