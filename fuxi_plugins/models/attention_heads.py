"""How the vectors of fields are cut into attention heads, rightly or as FuxiCTR cuts them in two of its models."""

from typing import Literal

from torch import Tensor

HeadSplit = Literal["by_vector", "fuxictr"]


def split_heads(x: Tensor, num_heads: int, head_split: HeadSplit) -> Tensor:
    """(B, n, heads * d) -> (B, heads, n, d).

    ``by_vector`` gives head h the h-th part of every field's vector. ``fuxictr`` cuts the row's n * heads * d
    values as they lie in memory, so that a head holds whole vectors of some fields and nothing of the others.

    >>> import torch
    >>> x = torch.tensor([[[1, 2], [3, 4]]])  # two fields, two heads of width 1
    >>> split_heads(x, 2, "by_vector").squeeze(-1), split_heads(x, 2, "fuxictr").squeeze(-1)
    (tensor([[[1, 3],
             [2, 4]]]), tensor([[[1, 2],
             [3, 4]]]))
    """
    batch, num_fields, width = x.shape
    if head_split == "fuxictr":
        return x.reshape(batch, num_heads, num_fields, width // num_heads)
    return x.unflatten(-1, (num_heads, -1)).transpose(1, 2)


def merge_heads(x: Tensor, head_split: HeadSplit) -> Tensor:
    """(B, heads, n, d) -> (B, n, heads * d), the inverse of ``split_heads``."""
    batch, num_heads, num_fields, head_dim = x.shape
    if head_split == "fuxictr":
        return x.reshape(batch, num_fields, num_heads * head_dim)
    return x.transpose(1, 2).flatten(2)
