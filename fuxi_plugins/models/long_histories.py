"""What SIM, ETA and SDIM share: attention of the target item to behaviours that were picked from a long history."""

from collections.abc import Mapping

import torch
from fuxictr.pytorch.layers import MultiHeadTargetAttention
from torch import Tensor, nn

from fuxi_plugins.layers import require_multiple, require_positive
from fuxi_plugins.layers.checks import require_rate

from .histories import History, ages, gather


def pick(score: Tensor, real: Tensor, count: int) -> Tensor:
    """The places of the highest scores among the real ones, of equal scores the latest first.

    (B, L) and (B, L) -> (B, min(count, L)). Where fewer are real, places of padding come last.

    >>> pick(torch.tensor([[5.0, 1.0, 1.0, 0.0]]), torch.tensor([[False, True, True, True]]), 2)
    tensor([[2, 1]])
    """
    by_age = (ages(real) + real.shape[1] * ~real).argsort(dim=1, stable=True)
    score = score.masked_fill(~real, -torch.inf).gather(1, by_age)
    return by_age.gather(1, score.argsort(dim=1, descending=True, stable=True)[:, :count])


class PickedAttention(nn.Module):
    """Attention of the target item to the behaviours of the highest scores, the latest without scores.

    softmax( (W_q t) (W_k s)^T / sqrt(d) ) W_v s in each head of width d, then W_o; 0 where a row has no behaviour.

    Args:
        width: m, of a behaviour.
        count: how many behaviours at most.
        attention_dim, num_heads: the width of all heads together, and their number.
        dropout: of the weights.
        use_scale: whether scores are divided by sqrt(d).
        use_qkvo: without, the four maps are the identity and ``attention_dim`` is m.
    """

    def __init__(
        self,
        width: int,
        count: int,
        attention_dim: int,
        num_heads: int,
        dropout: float,
        use_scale: bool = True,
        use_qkvo: bool = True,
    ):
        super().__init__()
        self.count = count
        self.attention = MultiHeadTargetAttention(width, attention_dim, num_heads, dropout, use_scale, use_qkvo)

    def forward(self, target: Tensor, behaviours: Tensor, real: Tensor, score: Tensor | None = None) -> Tensor:
        """(B, m), (B, L, m), (B, L) and a score (B, L) -> (B, m)."""
        places = pick(torch.zeros_like(real, dtype=target.dtype) if score is None else score, real, self.count)
        behaviours = behaviours.gather(1, places.unsqueeze(-1).expand(-1, -1, behaviours.shape[-1]))
        real = real.gather(1, places)
        return self.attention(target, behaviours, real) * real.any(dim=1, keepdim=True)


class SignHash(nn.Module):
    """The signs of random projections, (..., m) -> (..., num_hashes, bits); near vectors have most of them in common.

    The projections are drawn once by torch's generator, so that a run's seed decides them, and lie in the checkpoint.
    """

    def __init__(self, width: int, num_hashes: int, bits: int):
        super().__init__()
        self.register_buffer("projections", torch.randn(width, num_hashes, bits))

    def forward(self, vectors: Tensor) -> Tensor:
        return torch.einsum("...m,mhb->...hb", vectors, self.projections) > 0


def gather_real(
    history: History, embedded: Mapping[str, Tensor], features: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """``gather`` with zero vectors for padding, whatever an embedding table has there."""
    target, behaviours, real = gather(history, embedded, features)
    return target, behaviours * real.unsqueeze(-1), real


def check_attention(widths: list[int], attention_dim: int, num_heads: int, dropout: float, use_qkvo: bool) -> None:
    """The conditions on a :class:`PickedAttention` for each history, for use before anything is allocated."""
    require_positive(attention_dim=attention_dim, num_heads=num_heads)
    require_rate("attention_dropout", dropout)
    if use_qkvo:
        require_multiple(attention_dim=attention_dim, num_heads=num_heads)
    else:
        for width in widths:
            require_multiple(width_of_a_behaviour=width, num_heads=num_heads)


def recent_count(short_seq_len: int) -> int:
    """How many behaviours LongCTR's ``short_seq_len`` stands for: the target item is counted too.

    Raises:
        ValueError: not one is left.
    """
    if short_seq_len < 2:
        raise ValueError(
            f"short_seq_len must be at least 2, the target item and a behaviour, but short_seq_len={short_seq_len}"
        )
    return short_seq_len - 1
