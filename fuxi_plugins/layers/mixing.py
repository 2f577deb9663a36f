"""Token mixing: how the tokens of a row exchange what they hold, (B, T, D) -> (B, T, D).

A mixing is a linear map of vec(X), the row-major flattening of length TD, with a residual around it. Beside the
maps of the papers stand the controls that tell what of a map matters: a fixed random rotation and a low-rank map
against the full one, and for any map the weight beside its residual or no residual at all.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from .checks import nearest_divisor, nearest_multiple, require_one_of, require_positive
from .norms import LayerNorm, RMSNorm

MixingKind = Literal["full", "none", "block_transpose", "grouped", "low_rank", "orthogonal"]
MixingNorm = Literal["before", "after"]


@dataclass(frozen=True)
class MixingOptions:
    """What a mixing may have beside its kind; a model's setting is called ``mixing_`` and this name.

    groups: pieces of vec X, of ``grouped`` and needed there.
    rank: of W, of ``low_rank`` and needed there.
    scale: a in X + a map(X); 1 unless given.
    residual: False leaves map(X) alone.
    """

    groups: int | None = None
    rank: int | None = None
    scale: float | None = None
    residual: bool = True


PLAIN = MixingOptions()


def exchange_heads(x: Tensor, num_heads: int) -> Tensor:
    """Cuts every token into H heads and makes new token h of head h of every token, (B, T, D) -> (B, H, TD/H).

    H must divide D. Exchanging T heads of the result gives x back.

    >>> import torch
    >>> exchange_heads(torch.arange(8).view(1, 4, 2), 2)
    tensor([[[0, 2, 4, 6],
             [1, 3, 5, 7]]])
    """
    batch, num_tokens, token_dim = x.shape
    heads = x.reshape(batch, num_tokens, num_heads, token_dim // num_heads)  # (B, T, H, D/H)
    return heads.transpose(1, 2).reshape(batch, num_heads, -1)


def block_transpose(x: Tensor) -> Tensor:
    """RankMixer's P: cuts every token into T heads and gives head h of every token to new token h.

    (B, T, D) -> (B, T, D), for T that divides D. It moves values and changes none, is its own inverse, and is
    the matrix transpose where T = D.

    >>> import torch
    >>> block_transpose(torch.arange(8).view(1, 2, 4))
    tensor([[[0, 1, 4, 5],
             [2, 3, 6, 7]]])
    """
    return exchange_heads(x, num_heads=x.shape[1])


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


class LowRankLinear(nn.Module):
    """A control: the full map kept to rank R, U V vec(X) [+ b]. V (R, TD), U (TD, R)."""

    def __init__(self, num_tokens: int, token_dim: int, rank: int, bias: bool = True):
        check_rank(num_tokens, token_dim, rank)
        super().__init__()
        self.down = nn.Linear(num_tokens * token_dim, rank, bias=False)
        self.up = nn.Linear(rank, num_tokens * token_dim, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.down(x.flatten(1))).view_as(x)


class FixedOrthogonal(nn.Module):
    """A control: a random rotation of vec(X) that is never learned, Q vec(X), Q Q^T = I.

    It mixes as thoroughly as the full map can and loses nothing, so what the full map has over it was learned. Q is
    drawn by torch's generator, so that a run's seed decides it, and lies in the checkpoint.
    """

    def __init__(self, num_tokens: int, token_dim: int):
        require_positive(num_tokens=num_tokens, token_dim=token_dim)
        super().__init__()
        self.rotation: Tensor
        self.register_buffer("rotation", nn.init.orthogonal_(torch.empty(2 * (num_tokens * token_dim,))))

    def forward(self, x: Tensor) -> Tensor:
        return (x.flatten(1) @ self.rotation.T).view_as(x)


class ResidualMixing(nn.Module):
    """A mixing map with the residual around it and, if wanted, a norm of its own.

    norm="before":  X + a map( RMSNorm_TD( vec X ) )
    norm="after":   LayerNorm_D( X + a map(X) )
    norm=None:      X + a map(X)

    ``scale`` is a; ``residual=False`` leaves the X before the sum out.
    """

    def __init__(
        self,
        mixing_map: nn.Module,
        num_tokens: int,
        token_dim: int,
        norm: MixingNorm | None = None,
        scale: float = 1.0,
        residual: bool = True,
    ):
        if norm is not None:
            require_one_of("mixing_norm", norm, MixingNorm)
        super().__init__()
        self.map = mixing_map
        self.scale = scale
        self.residual = residual
        self.norm_before = RMSNorm(num_tokens * token_dim) if norm == "before" else None
        self.norm_after = LayerNorm(token_dim) if norm == "after" else None

    def forward(self, x: Tensor) -> Tensor:
        flat_normed = x if self.norm_before is None else self.norm_before(x.flatten(1)).view_as(x)
        mixed = self.map(flat_normed)
        if self.residual:
            mixed = torch.add(x, mixed, alpha=self.scale)
        return mixed if self.norm_after is None else self.norm_after(mixed)


def make_mixing(
    kind: MixingKind,
    num_tokens: int,
    token_dim: int,
    norm: MixingNorm | None,
    options: MixingOptions = PLAIN,
    bias: bool = True,
) -> nn.Module:
    """The mixing of that kind; ``none`` is the identity, and ``bias`` concerns ``full`` and ``low_rank``."""
    check_mixing(kind, num_tokens, token_dim, norm, options)
    if kind == "none":
        return nn.Identity()
    mixing_map: nn.Module
    if kind == "full":
        mixing_map = FullLinear(num_tokens, token_dim, bias)
    elif kind == "block_transpose":
        mixing_map = BlockTranspose(num_tokens, token_dim)
    elif options.groups is not None:  # which "grouped" alone has
        mixing_map = GroupedLinear(num_tokens, token_dim, options.groups)
    elif options.rank is not None:  # which "low_rank" alone has
        mixing_map = LowRankLinear(num_tokens, token_dim, options.rank, bias)
    else:
        mixing_map = FixedOrthogonal(num_tokens, token_dim)
    scale = 1.0 if options.scale is None else options.scale
    return ResidualMixing(mixing_map, num_tokens, token_dim, norm, scale, options.residual)


def check_mixing(
    kind: MixingKind,
    num_tokens: int,
    token_dim: int,
    norm: MixingNorm | None = None,
    options: MixingOptions = PLAIN,
) -> None:
    """The conditions of ``make_mixing``, for use before anything is allocated."""
    require_one_of("mixing", kind, MixingKind)
    if norm is not None:
        require_one_of("mixing_norm", norm, MixingNorm)
    require_positive(num_tokens=num_tokens, token_dim=token_dim)
    for name, belongs_to in (("groups", "grouped"), ("rank", "low_rank")):
        value = getattr(options, name)
        if kind == belongs_to and value is None:
            raise ValueError(f"mixing={kind!r} needs mixing_{name}, which is not set")
        if kind != belongs_to and value is not None:
            _refuse(f"mixing_{name}", value, f"with mixing={kind!r}")
    if kind == "none" and not options.residual:
        _refuse("mixing_residual", False, "with mixing='none'")
    if options.scale is not None and (kind == "none" or not options.residual):
        _refuse("mixing_scale", options.scale, "with mixing='none'" if kind == "none" else "without the residual")
    if kind == "block_transpose":
        check_block_transpose(num_tokens, token_dim)
    elif options.groups is not None:
        check_groups(num_tokens, token_dim, options.groups)
    elif options.rank is not None:
        check_rank(num_tokens, token_dim, options.rank)


def _refuse(name: str, value: float, context: str) -> None:
    raise ValueError(f"{name} has no meaning {context}, but {name}={value}; leave it out")


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


def check_rank(num_tokens: int, token_dim: int, rank: int) -> None:
    """1 <= R <= TD."""
    require_positive(num_tokens=num_tokens, token_dim=token_dim, mixing_rank=rank)
    values = num_tokens * token_dim
    if rank > values:
        raise ValueError(
            f"a rank is at most num_tokens * token_dim, but mixing_rank={rank} and {num_tokens} * {token_dim} = "
            f"{values}"
        )
