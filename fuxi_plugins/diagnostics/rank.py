"""How many directions a matrix really uses, by four definitions, for many matrices at once.

With singular values s_1 >= s_2 >= ... of a matrix A and q = min(shape):

    stable rank             sum s_i^2 / s_1^2
    information abundance   sum s_i / s_1                    (Guo et al., ICML 2024, for embedding tables)
    entropy rank            exp( -sum p_i ln p_i ),  p_i = s_i / sum s   (Roy and Vetterli, EUSIPCO 2007)
    participation ratio     (sum s_i^2)^2 / sum s_i^4

Always stable <= abundance <= entropy <= algebraic rank <= q. RankMe (Garrido et al., ICML 2023) is the entropy rank
of a matrix of samples by features. The RankElastor paper defines the stable rank in its text and draws the entropy
rank, which is two to three times larger on the same matrix: a figure must say which.

All of them ignore the scale of A. A zero matrix has rank 0 by every definition.
"""

import torch
from torch import Tensor


def singular_values(matrices: Tensor) -> Tensor:
    """Singular values in falling order, (..., m, n) -> (..., min(m, n)), in float64.

    They are the square roots of the eigenvalues of the smaller Gram matrix: one batched call, several times faster
    than a decomposition of every matrix by itself (``scripts/measure_rank.py`` measures it). Squaring loses what lies
    below 1e-8 of s_1, which no measure here can see.

    Raises:
        ValueError: a value is not finite.
    """
    matrices = matrices.detach().double()
    if not torch.isfinite(matrices).all():
        raise ValueError("the rank of a matrix needs finite values, but some are infinite or not numbers")
    # Scaled to a largest entry of 1 first, so that squares of tiny or huge values neither vanish nor overflow.
    largest = matrices.abs().amax(dim=(-2, -1), keepdim=True)
    scaled = matrices / torch.where(largest > 0, largest, 1.0)
    rows, columns = matrices.shape[-2:]
    gram = scaled @ scaled.mT if rows <= columns else scaled.mT @ scaled
    return torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().flip(-1) * largest.squeeze(-1)


def stable_rank(s: Tensor) -> Tensor:
    """(..., q) singular values -> (...)."""
    return _over_spectrum(s.square())[..., 0].reciprocal().nan_to_num(posinf=0.0)


def information_abundance(s: Tensor) -> Tensor:
    """(..., q) singular values -> (...)."""
    return _over_spectrum(s)[..., 0].reciprocal().nan_to_num(posinf=0.0)


def entropy_rank(s: Tensor) -> Tensor:
    """(..., q) singular values -> (...)."""
    return _exp_entropy(_over_spectrum(s)) * (s[..., 0] > 0)


def participation_ratio(s: Tensor) -> Tensor:
    """(..., q) singular values -> (...)."""
    return _over_spectrum(s.square()).square().sum(-1).reciprocal().nan_to_num(posinf=0.0)


MEASURES = {
    "stable": stable_rank,
    "abundance": information_abundance,
    "entropy": entropy_rank,
    "participation": participation_ratio,
}


def rank_measures(matrices: Tensor) -> dict[str, Tensor]:
    """Every measure of every matrix, (..., m, n) -> (...) each."""
    s = singular_values(matrices)
    return {name: measure(s) for name, measure in MEASURES.items()}


def gaussian_null(rows: int, columns: int, draws: int = 256) -> dict[str, float]:
    """The mean of every measure over matrices of independent normal numbers: what no structure at all would show.

    The draws come from a generator of their own, so asking changes no random state.
    """
    generator = torch.Generator().manual_seed(0)
    measured = rank_measures(torch.randn(draws, rows, columns, generator=generator))
    return {name: float(values.mean()) for name, values in measured.items()}


def _over_spectrum(weights: Tensor) -> Tensor:
    """Weights that sum to one over the last axis; all zero where they were all zero."""
    total = weights.sum(-1, keepdim=True)
    return weights / torch.where(total > 0, total, 1.0)


def _exp_entropy(p: Tensor) -> Tensor:
    return torch.special.entr(p).sum(-1).exp()
