"""UniMixer's mixing: a learned global matrix over blocks of values, and a learned local matrix within each block."""

import torch
from torch import Tensor, nn

from .checks import nearest_divisor, require_positive


def sinkhorn(logits: Tensor, temperature: Tensor | float, iterations: int) -> Tensor:
    """exp(logits / temperature), its rows and then its columns divided by their sums, that many times.

    (..., m, m) -> (..., m, m) with positive entries. After enough iterations the result is doubly stochastic: all rows
    and columns sum to 1. The columns always do; how many iterations the rows need grows as the temperature falls. The
    work is done with logarithms and in float32 at least, because exp(logits / 0.05) overflows.

    Paper: Sinkhorn and Knopp, Concerning nonnegative matrices and doubly stochastic matrices, 1967.

    >>> sinkhorn(torch.tensor([[9.0, 0.0], [0.0, 9.0]]), temperature=1.0, iterations=20).round(decimals=3)
    tensor([[1., 0.],
            [0., 1.]])
    """
    log = logits.to(torch.promote_types(logits.dtype, torch.float32)) / temperature
    for _ in range(iterations):
        log = log - log.logsumexp(dim=-1, keepdim=True)
        log = log - log.logsumexp(dim=-2, keepdim=True)
    return log.exp().to(logits.dtype)


class BlockMixing(nn.Module):
    """W_G [x_1 W_B1; ...; x_N W_BN] of the N blocks of s values that vec(X) is cut into, (B, T, D) -> (B, T, D).

    The same as one matrix (TD, TD) whose block (i, j) is W_G[i, j] W_Bj^T, applied to the column vec(X). W_G (N, N)
    and each W_Bi (s, s) are Sinkhorn's of logits, which a subclass gives.

    Args:
        num_tokens, token_dim, block_size: T, D and s; s must divide T D.
        iterations: of Sinkhorn's normalisation; 0 leaves the logits as they are.
        symmetric: whether logits W are first replaced by (W + W^T) / 2.
    """

    def __init__(self, num_tokens: int, token_dim: int, block_size: int, iterations: int, symmetric: bool):
        check_block_size(num_tokens, token_dim, block_size)
        super().__init__()
        self.num_blocks = num_tokens * token_dim // block_size  # N
        self.block_size = block_size
        self.iterations = iterations
        self.symmetric = symmetric

    def local_logits(self) -> Tensor:
        """(N, s, s)."""
        raise NotImplementedError(f"{type(self).__name__} must say what its local matrices are")

    def global_logits(self) -> Tensor:
        """(N, N)."""
        raise NotImplementedError(f"{type(self).__name__} must say what its global matrix is")

    def matrix(self, logits: Tensor, temperature: Tensor | float) -> Tensor:
        """The matrices that logits stand for, (..., m, m) -> (..., m, m)."""
        if self.symmetric:
            logits = (logits + logits.transpose(-1, -2)) / 2
        return sinkhorn(logits, temperature, self.iterations) if self.iterations else logits

    def start(self, width: int) -> float:
        """The standard deviation of logits (width, width) at the start.

        Of 1 under Sinkhorn, as nearly equal logits would average all blocks; else such that a map keeps the scale.
        """
        return 1.0 if self.iterations else width**-0.5

    def forward(self, x: Tensor, temperature: Tensor | float) -> Tensor:
        blocks = x.reshape(len(x), self.num_blocks, self.block_size)
        local = torch.einsum("bns,nst->bnt", blocks, self.matrix(self.local_logits(), temperature))
        mixed = torch.einsum("mn,bns->bms", self.matrix(self.global_logits(), temperature), local)
        return mixed.reshape(x.shape)


class UniMixing(BlockMixing):
    """The full form: the logits are parameters, N^2 + N s^2 of them."""

    def __init__(self, num_tokens: int, token_dim: int, block_size: int, iterations: int, symmetric: bool):
        super().__init__(num_tokens, token_dim, block_size, iterations, symmetric)
        self.local_weight = nn.Parameter(torch.empty(self.num_blocks, block_size, block_size))
        self.global_weight = nn.Parameter(torch.empty(self.num_blocks, self.num_blocks))
        self.init_weights()

    def init_weights(self) -> None:
        """Starts the logits; FuxiCTR calls it after resetting its own layers."""
        nn.init.normal_(self.local_weight, std=self.start(self.block_size))
        nn.init.normal_(self.global_weight, std=self.start(self.num_blocks))

    def local_logits(self) -> Tensor:
        return self.local_weight

    def global_logits(self) -> Tensor:
        return self.global_weight


class UniMixingLite(BlockMixing):
    """The light form: W_Bi of sum_l omega_il Z_l over b shared bases, W_G of A B / sqrt(rank).

    Z (b, s, s), omega (N, b), A (N, rank), B (rank, N): b s^2 + N b + 2 N rank parameters.

    Args:
        num_bases, rank: b and the rank of the global logits; the rest as in :class:`BlockMixing`.
    """

    def __init__(
        self,
        num_tokens: int,
        token_dim: int,
        block_size: int,
        iterations: int,
        symmetric: bool,
        num_bases: int,
        rank: int,
    ):
        require_positive(num_bases=num_bases, rank=rank)
        super().__init__(num_tokens, token_dim, block_size, iterations, symmetric)
        self.bases = nn.Parameter(torch.empty(num_bases, block_size, block_size))  # Z
        self.basis_weight = nn.Parameter(torch.empty(self.num_blocks, num_bases))  # omega
        self.global_left = nn.Parameter(torch.empty(self.num_blocks, rank))  # A
        self.global_right = nn.Parameter(torch.empty(rank, self.num_blocks))  # B
        self.init_weights()

    def init_weights(self) -> None:
        """Starts each block on one of the bases in turn, and the global logits at the scale of the full form."""
        nn.init.normal_(self.bases, std=self.start(self.block_size))
        nn.init.normal_(self.basis_weight, std=0.01)
        blocks = torch.arange(self.num_blocks)
        with torch.no_grad():
            self.basis_weight[blocks, blocks % len(self.bases)] += 1
        nn.init.normal_(self.global_left)
        nn.init.normal_(self.global_right, std=self.start(self.num_blocks))

    def local_logits(self) -> Tensor:
        return torch.einsum("nl,lst->nst", self.basis_weight, self.bases)

    def global_logits(self) -> Tensor:
        return self.global_left @ self.global_right / self.global_left.shape[1] ** 0.5


def check_block_size(num_tokens: int, token_dim: int, block_size: int) -> None:
    """s must divide T D; for use before anything is allocated."""
    require_positive(num_tokens=num_tokens, token_dim=token_dim, block_size=block_size)
    values = num_tokens * token_dim
    if values % block_size:
        raise ValueError(
            "block_size must divide num_tokens * token_dim, but "
            f"block_size={block_size} and {num_tokens} * {token_dim} = {values}; "
            f"the nearest that fits is {nearest_divisor(block_size, values)}"
        )
