"""What factorization machines are made of: products of two fields, and sums of products of more.

B rows, n fields, k the width of an embedding, P = n(n-1)/2 pairs of different fields i < j, ordered by i, then j.
"""

import torch
from torch import Tensor


def count_pairs(num_fields: int) -> int:
    """P, of which there must be at least one.

    >>> count_pairs(4)
    6
    """
    if num_fields < 2:
        raise ValueError(f"a model of pairs needs at least two fields, but the dataset has {num_fields}")
    return num_fields * (num_fields - 1) // 2


def pair_index(num_fields: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """The first and the second field of every pair, (P,) each.

    >>> pair_index(3)
    (tensor([0, 0, 1]), tensor([1, 2, 2]))
    """
    first, second = torch.triu_indices(num_fields, num_fields, offset=1, device=device)
    return first, second


def pair_sides(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """The embeddings of the first and of the second field of every pair: (B, n, k) -> twice (B, P, k)."""
    first, second = pair_index(embeddings.shape[1], embeddings.device)
    return embeddings[:, first], embeddings[:, second]


def pooled_products(embeddings: Tensor) -> Tensor:
    """The sum of e_i * e_j over all pairs, in time linear in n: (B, n, k) -> (B, k)."""
    return (embeddings.sum(dim=1).square() - embeddings.square().sum(dim=1)) / 2


def inner_products(embeddings: Tensor) -> Tensor:
    """<e_i, e_j> of every pair: (B, n, k) -> (B, P)."""
    first, second = pair_index(embeddings.shape[1], embeddings.device)
    gram = embeddings @ embeddings.transpose(1, 2)  # (B, n, n)
    return gram[:, first, second]


def field_aware_inner_products(embeddings: Tensor) -> Tensor:
    """<v_ij, v_ji> of every pair, v_ij what field i shows to field j: (B, n - 1, n, k) -> (B, P).

    Field i shows each other field one of its n - 1 embeddings: row j - 1 to a later field j, row j to an earlier one.
    """
    first, second = pair_index(embeddings.shape[2], embeddings.device)
    return (embeddings[:, second - 1, first] * embeddings[:, first, second]).sum(dim=-1)


def symmetric_sums(embeddings: Tensor, order: int) -> list[Tensor]:
    """For each t from 1 to ``order`` the sum of e_i * e_j * ... over all sets of t fields: (B, n, k) -> (B, k) each.

    >>> symmetric_sums(torch.tensor([[[2.0], [3.0], [5.0]]]), 3)  # 2 + 3 + 5, 2*3 + 2*5 + 3*5, 2*3*5
    [tensor([[10.]]), tensor([[31.]]), tensor([[30.]])]
    """
    if not 1 <= order <= embeddings.shape[1]:
        raise ValueError(f"order must be from 1 to the {embeddings.shape[1]} fields, but order={order}")
    # Row i sums over the sets whose last field is among the first i; one more field follows each of them.
    prefix = embeddings.cumsum(dim=1)
    sums = [prefix[:, -1]]
    for size in range(1, order):
        prefix = (embeddings[:, size:] * prefix[:, :-1]).cumsum(dim=1)
        sums.append(prefix[:, -1])
    return sums
