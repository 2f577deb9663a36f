"""What algebra says about the rank of a block's output, and what a block does to matrices of a given spectrum.

The statements are about the parts of a block as they are written down here, each with the assumption on which it
rests; some of the models' parts break the assumption, and then the measured rank passes the bound. They are not the
theorems of the RankElastor paper, whose statements were not at hand when this was written.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fuxi_plugins.diagnostics.rank import rank_measures
from fuxi_plugins.layers import PerTokenLinear, block_transpose, glu_ffn, make_mixing, mlp_ffn, rms_norm

Map = Callable[[Tensor], Tensor]  # (B, T, D) -> (B, T, D)


@dataclass(frozen=True)
class Statement:
    """A bound on the algebraic rank of ``map(X)`` by that of X."""

    name: str
    bound_text: str
    assumption: str
    bound: Callable[[int, int, int], int]  # rank of X, T, D -> the bound, before the cap min(T, D)
    make: Callable[[int, int], Map]  # T, D -> a map drawn at random
    broken: bool = False  # whether the map is one that breaks the assumption


@dataclass(frozen=True)
class Outcome:
    """What was seen over the draws, at one shape and one rank of X."""

    statement: str
    bound_text: str
    assumption: str
    num_tokens: int
    token_dim: int
    rank_in: int
    bound: int
    largest: int  # rank of an output
    smallest: int
    verdict: str


def low_rank(draws: int, num_tokens: int, token_dim: int, rank: int) -> Tensor:
    """Gaussian matrices of that rank, (draws, T, D) float64."""
    left = torch.randn(draws, num_tokens, rank, dtype=torch.float64)
    return left @ torch.randn(draws, rank, token_dim, dtype=torch.float64)


def with_spectrum(draws: int, num_tokens: int, token_dim: int, decay: float) -> Tensor:
    """Matrices with singular values i^-decay and random singular vectors, (draws, T, D) float64."""
    u, _, vt = torch.linalg.svd(torch.randn(draws, num_tokens, token_dim, dtype=torch.float64), full_matrices=False)
    s = torch.arange(1, u.shape[-1] + 1, dtype=torch.float64) ** -decay
    return (u * s) @ vt


def rank_of_one_plus_p(num_tokens: int, token_dim: int) -> int:
    """The rank of I + P as a map of vec(X), by its matrix; it is D (T + 1) / 2 out of T D."""
    basis = torch.eye(num_tokens * token_dim, dtype=torch.float64).view(-1, num_tokens, token_dim)
    return int(torch.linalg.matrix_rank((basis + block_transpose(basis)).flatten(1)))


def _matrix(rows: int, columns: int) -> Tensor:
    return torch.randn(rows, columns, dtype=torch.float64) / rows**0.5


def _shared_linear(num_tokens: int, token_dim: int) -> Map:
    v = _matrix(token_dim, token_dim)
    return lambda x: x @ v


def _per_token_linear(num_tokens: int, token_dim: int) -> Map:
    return PerTokenLinear(num_tokens, token_dim, token_dim).double()


def _full_mixing(num_tokens: int, token_dim: int) -> Map:
    w = _matrix(num_tokens * token_dim, num_tokens * token_dim)
    return lambda x: x + (x.flatten(1) @ w).view_as(x)


def _shared_product(num_tokens: int, token_dim: int) -> Map:
    v, u = _matrix(token_dim, token_dim), _matrix(token_dim, token_dim)
    return lambda x: (x @ v) * (x @ u)


def _product_with(activation: Map) -> Callable[[int, int], Map]:
    def make(num_tokens: int, token_dim: int) -> Map:
        v, u = _matrix(token_dim, token_dim), _matrix(token_dim, token_dim)
        return lambda x: activation(x @ v) * (x @ u)

    return make


def _pointwise(activation: Map) -> Callable[[int, int], Map]:
    return lambda num_tokens, token_dim: activation


def _rms(num_tokens: int, token_dim: int) -> Map:
    gain = torch.rand(token_dim, dtype=torch.float64) + 0.5
    return lambda x: rms_norm(x, gain)


STATEMENTS = (
    Statement("X V", "rank X", "all tokens share V", lambda r, t, d: r, _shared_linear),
    Statement("x_t V_t", "rank X", "all tokens share V", lambda r, t, d: r, _per_token_linear, broken=True),
    Statement("X + P X", "rank X (1 + D/T)", "none", lambda r, t, d: r * (1 + d // t),
              lambda t, d: lambda x: x + block_transpose(x)),
    Statement("(I + W) vec X", "rank X", "W acts on whole tokens, not on vec X", lambda r, t, d: r, _full_mixing,
              broken=True),
    Statement("RMSNorm_D(X)", "rank X", "none", lambda r, t, d: r, _rms),
    Statement("X V * X U", "r (r + 1) / 2, r = rank X", "all tokens share V and U; no activation",
              lambda r, t, d: r * (r + 1) // 2, _shared_product),
    Statement("GELU(X V) * X U", "r (r + 1) / 2, r = rank X", "no activation", lambda r, t, d: r * (r + 1) // 2,
              _product_with(nn.functional.gelu), broken=True),
    Statement("ReLU(X)", "rank X", "the activation is linear", lambda r, t, d: r, _pointwise(torch.relu), broken=True),
    Statement("GELU(X)", "rank X", "the activation is linear", lambda r, t, d: r, _pointwise(nn.functional.gelu),
              broken=True),
)  # fmt: skip


def check_statements(
    shapes: list[tuple[int, int]], ranks: list[int], draws: int = 16, seed: int = 0
) -> Iterator[Outcome]:
    """Every statement at every shape and rank: the bound, and the ranks that were seen."""
    torch.manual_seed(seed)
    for num_tokens, token_dim in shapes:
        for rank in ranks:
            x = low_rank(draws, num_tokens, token_dim, rank)
            for statement in STATEMENTS:
                with torch.no_grad():
                    seen = torch.linalg.matrix_rank(statement.make(num_tokens, token_dim)(x))
                bound = min(statement.bound(rank, num_tokens, token_dim), num_tokens, token_dim)
                largest, smallest = int(seen.max()), int(seen.min())
                yield Outcome(
                    statement.name, statement.bound_text, statement.assumption, num_tokens, token_dim, rank,
                    bound, largest, smallest, _verdict(bound, largest, min(num_tokens, token_dim)),
                )  # fmt: skip


def _verdict(bound: int, largest: int, cap: int) -> str:
    if largest > bound:
        return "passed: the assumption does not hold"
    if bound == cap:
        return "says nothing: the bound is the cap"
    return "tight" if largest == bound else "holds, loose"


@dataclass(frozen=True)
class Effect:
    """Mean effective ranks before and after a part of a block at its initialisation."""

    part: str
    num_tokens: int
    token_dim: int
    decay: float  # of the input's singular values, i^-decay
    stable_in: float
    stable_out: float
    entropy_in: float
    entropy_out: float


def parts(num_tokens: int, token_dim: int) -> dict[str, nn.Module]:
    """The parts that the models are made of, with weights as they start."""
    shape = (num_tokens, token_dim)
    hidden = [2 * token_dim]
    return {
        "X + P X": make_mixing("block_transpose", *shape, norm=None),
        "full mixing": make_mixing("full", *shape, norm="before"),
        "GELU network": _Residual(mlp_ffn(*shape, hidden, "gelu")),
        "ReLU network": _Residual(mlp_ffn(*shape, hidden, "relu")),
        "gated network": _Residual(glu_ffn(*shape, [token_dim], 3.0)),
    }


def measure_effects(
    shapes: list[tuple[int, int]], decays: list[float], draws: int = 64, seed: int = 0
) -> Iterator[Effect]:
    """Sends matrices of given spectra through every part at its initialisation.

    The inputs are scaled to a root mean square of 1, where the models' norms keep their tokens.
    """
    torch.manual_seed(seed)
    for num_tokens, token_dim in shapes:
        for decay in decays:
            x = with_spectrum(draws, num_tokens, token_dim, decay)
            x = x / x.square().mean(dim=(1, 2), keepdim=True).sqrt()
            before = rank_measures(x)
            for name, part in parts(num_tokens, token_dim).items():
                part.apply(_start_as_fuxictr_does)
                with torch.no_grad():
                    after = rank_measures(part.double()(x))
                yield Effect(
                    name, num_tokens, token_dim, decay,
                    *(float(values[measure].mean()) for measure in ("stable", "entropy") for values in (before, after)),
                )  # fmt: skip


def _start_as_fuxictr_does(module: nn.Module) -> None:
    """Per-token weights start so by themselves."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)


class _Residual(nn.Module):
    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)
