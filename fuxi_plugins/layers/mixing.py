"""Token mixing: how the tokens of a row exchange what they hold, (B, T, D) -> (B, T, D).

A mixing is a linear map of vec(X), the row-major flattening of length TD, with a residual around it.
"""

from typing import Literal

from torch import Tensor, nn

from .checks import nearest_divisor, nearest_multiple, require_one_of, require_positive
from .norms import RMSNorm

MixingKind = Literal["full", "none", "block_transpose", "grouped"]
MixingNorm = Literal["before", "after"]


def block_transpose(x: Tensor) -> Tensor:
    """RankMixer's P: cuts every token into T heads and gives head h of every token to new token h.

    (B, T, D) -> (B, T, D), for T that divides D. It moves values and changes none, is its own inverse, and is
    the matrix transpose where T = D.

    >>> import torch
    >>> block_transpose(torch.arange(8).view(1, 2, 4))
    tensor([[[0, 1, 4, 5],
             [2, 3, 6, 7]]])
    """
    batch, num_tokens, token_dim = x.shape
    heads = x.reshape(batch, num_tokens, num_tokens, token_dim // num_tokens)  # (B, T, T, D/T)
    return heads.transpose(1, 2).reshape(batch, num_tokens, token_dim)


class BlockTranspose(nn.Module):
    """RankMixer's mixing map, P X; no parameters."""

    def __init__(self, num_tokens: int, token_dim: int):
        check_block_transpose(num_tokens, token_dim)
        super().__init__()

    def forward(self, x: Tensor) -> Tensor:
        return block_transpose(x)


class FullLinear(nn.Module):
    """RankElastor's mixing map, W vec(X) [+ b]: every value of every token sees all others. W (TD, TD)."""

    def __init__(self, num_tokens: int, token_dim: int, bias: bool = True):
        require_positive(num_tokens=num_tokens, token_dim=token_dim)
        super().__init__()
        self.linear = nn.Linear(num_tokens * token_dim, num_tokens * token_dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.flatten(1)).view_as(x)


class GroupedLinear(nn.Module):
    """A cheap relative of the full map: vec(X) in g equal pieces, each through one shared matrix, no bias.

    W (TD/g, TD/g). Values mix within a piece alone. With g = T every piece is a token, so no tokens are mixed
    at all.
    """

    def __init__(self, num_tokens: int, token_dim: int, groups: int):
        check_groups(num_tokens, token_dim, groups)
        super().__init__()
        self.groups = groups
        piece = num_tokens * token_dim // groups
        self.linear = nn.Linear(piece, piece, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        pieces = x.reshape(x.shape[0], self.groups, -1)  # (B, g, TD/g)
        return self.linear(pieces).view_as(x)


class ResidualMixing(nn.Module):
    """A mixing map with the residual around it and, if wanted, a norm of its own.

    norm="before":  X + map( RMSNorm_TD( vec X ) )
    norm="after":   LayerNorm_D( X + map(X) )
    norm=None:      X + map(X)
    """

    def __init__(self, mixing_map: nn.Module, num_tokens: int, token_dim: int, norm: MixingNorm | None = None):
        if norm is not None:
            require_one_of("mixing_norm", norm, MixingNorm)
        super().__init__()
        self.map = mixing_map
        self.norm_before = RMSNorm(num_tokens * token_dim) if norm == "before" else None
        self.norm_after = nn.LayerNorm(token_dim) if norm == "after" else None

    def forward(self, x: Tensor) -> Tensor:
        flat_normed = x if self.norm_before is None else self.norm_before(x.flatten(1)).view_as(x)
        mixed = x + self.map(flat_normed)
        return mixed if self.norm_after is None else self.norm_after(mixed)


def make_mixing(
    kind: MixingKind,
    num_tokens: int,
    token_dim: int,
    norm: MixingNorm | None,
    groups: int | None = None,
    bias: bool = True,
) -> nn.Module:
    """The mixing of that kind with its residual; ``none`` is the identity, and ``bias`` concerns ``full``."""
    check_mixing(kind, num_tokens, token_dim, norm, groups)
    if kind == "none":
        return nn.Identity()
    if kind == "full":
        mixing_map = FullLinear(num_tokens, token_dim, bias)
    elif kind == "block_transpose":
        mixing_map = BlockTranspose(num_tokens, token_dim)
    else:
        mixing_map = GroupedLinear(num_tokens, token_dim, groups)
    return ResidualMixing(mixing_map, num_tokens, token_dim, norm)


def check_mixing(
    kind: MixingKind,
    num_tokens: int,
    token_dim: int,
    norm: MixingNorm | None = None,
    groups: int | None = None,
) -> None:
    """The conditions of ``make_mixing``, for use before anything is allocated."""
    require_one_of("mixing", kind, MixingKind)
    if norm is not None:
        require_one_of("mixing_norm", norm, MixingNorm)
    require_positive(num_tokens=num_tokens, token_dim=token_dim)
    if kind == "block_transpose":
        check_block_transpose(num_tokens, token_dim)
    if kind == "grouped":
        if groups is None:
            raise ValueError("mixing='grouped' needs the number of groups, but mixing_groups is not set")
        check_groups(num_tokens, token_dim, groups)
    elif groups is not None:
        raise ValueError(f"mixing_groups has no meaning with mixing={kind!r}, but mixing_groups={groups}; leave it out")


def check_block_transpose(num_tokens: int, token_dim: int) -> None:
    """T must divide D."""
    require_positive(num_tokens=num_tokens, token_dim=token_dim)
    if token_dim % num_tokens:
        raise ValueError(
            "token width must be a multiple of the number of tokens, but "
            f"token_dim={token_dim} and num_tokens={num_tokens}; "
            f"the nearest that fits is {nearest_multiple(token_dim, num_tokens)}"
        )


def check_groups(num_tokens: int, token_dim: int, groups: int) -> None:
    """g must divide TD."""
    require_positive(num_tokens=num_tokens, token_dim=token_dim, mixing_groups=groups)
    values = num_tokens * token_dim
    if values % groups:
        raise ValueError(
            "the number of groups must divide num_tokens * token_dim, but "
            f"mixing_groups={groups} and {num_tokens} * {token_dim} = {values}; "
            f"the nearest that fits is {nearest_divisor(groups, values)}"
        )
