"""RankElastor as its authors' code computes it, in one file that needs torch alone.

The model that a benchmark runs is ``fuxi_plugins/models/rankelastor.py``; a test holds this file equal to it.
Paper: Expand More, Shrink Less: Shaping Effective-Rank Dynamics for Dense Scaling in Recommendation, KDD 2026,
https://arxiv.org/abs/2605.23191.

The letters behind a name are its shape, ``x_BTD`` is (B, T, D):
    B rows, F fields, E values of all embeddings of a row, T tokens, D values of a token, N = T D,
    I and O values into and out of a per-token map.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class RankElastor(nn.Module):
    """The ids of a row's fields -> the probability of a click.

    >>> RankElastor(vocab_sizes=[100, 50, 20])(torch.tensor([[1, 2, 3], [4, 5, 6]])).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        vocab_sizes: Sequence[int],  # of each field; id 0 is padding
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        tokenizer_width: int = 500,
        ffn_widths: Sequence[int] = (64, 64),
        expansion: float = 3.0,
    ):
        super().__init__()
        e, n = len(vocab_sizes) * embedding_dim, num_tokens * token_dim
        self.tables = nn.ModuleList(nn.Embedding(size, embedding_dim, padding_idx=0) for size in vocab_sizes)
        self.norm = RMSNorm(e)
        self.tokenizer = nn.Sequential(
            nn.Linear(e, tokenizer_width), RMSNorm(tokenizer_width), nn.ReLU(), nn.Linear(tokenizer_width, n)
        )
        self.to_tokens = nn.Unflatten(1, (num_tokens, token_dim))
        self.blocks = nn.Sequential(*(Block(num_tokens, token_dim, ffn_widths, expansion) for _ in range(num_blocks)))
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(n, 2 * n), nn.ReLU(), nn.Linear(2 * n, 1))
        self.apply(start)

    def forward(self, ids_BF: Tensor) -> Tensor:
        x_BE = torch.cat([table(ids_B) for table, ids_B in zip(self.tables, ids_BF.unbind(1), strict=True)], dim=1)
        x_BTD = self.to_tokens(self.tokenizer(self.norm(x_BE)))
        x_BTD = self.blocks(x_BTD)
        return self.head(x_BTD).sigmoid()  # (B, 1)


class Block(nn.Module):
    """Every value sees all others through one matrix, then every token goes through a network of its own."""

    def __init__(self, num_tokens: int, token_dim: int, ffn_widths: Sequence[int], expansion: float):
        super().__init__()
        self.mix = nn.Linear(num_tokens * token_dim, num_tokens * token_dim)
        self.norm_before = RMSNorm(num_tokens * token_dim)
        self.norm_after = RMSNorm(token_dim)
        layers: list[nn.Module] = []
        width = token_dim
        for next_width in ffn_widths:
            layers += [RMSNorm(num_tokens, width), GatedUnit(num_tokens, width, int(expansion * width))]
            layers += [PerTokenLinear(num_tokens, width, next_width)] if next_width != width else []
            width = next_width
        self.ffn = nn.Sequential(*layers, PerTokenLinear(num_tokens, width, token_dim))

    def forward(self, x_BTD: Tensor) -> Tensor:
        mixed_BN = self.mix(self.norm_before(x_BTD.flatten(1)))
        x_BTD = self.norm_after(x_BTD + mixed_BN.view_as(x_BTD))
        return x_BTD + self.ffn(x_BTD)


class GatedUnit(nn.Module):
    """down( (lift(x) + GELU(gate(x))) * value(x) ) + skip(x), of every token's own."""

    def __init__(self, num_tokens: int, width: int, inner_width: int):
        super().__init__()
        self.gate = PerTokenLinear(num_tokens, width, inner_width)
        self.value = PerTokenLinear(num_tokens, width, inner_width)
        self.skip = PerTokenLinear(num_tokens, width, width)
        self.lift = PerTokenLinear(num_tokens, width, inner_width)
        self.down = PerTokenLinear(num_tokens, inner_width, width)

    def forward(self, x_BTI: Tensor) -> Tensor:
        return self.down((self.lift(x_BTI) + nnf.gelu(self.gate(x_BTI))) * self.value(x_BTI)) + self.skip(x_BTI)


class PerTokenLinear(nn.Module):
    """A matrix and a bias of every token's own, which start by Xavier's rule and at zero."""

    def __init__(self, num_tokens: int, inputs: int, outputs: int):
        super().__init__()
        self.weight_TIO = nn.Parameter(torch.randn(num_tokens, inputs, outputs) * (2 / (inputs + outputs)) ** 0.5)
        self.bias_TO = nn.Parameter(torch.zeros(num_tokens, outputs))

    def forward(self, x_BTI: Tensor) -> Tensor:
        return torch.einsum("bti,tio->bto", x_BTI, self.weight_TIO) + self.bias_TO


class RMSNorm(nn.Module):
    """Division by the root mean square over the last axis, then a gain for each value, or each value of each token."""

    def __init__(self, *shape: int):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        return x * (x.square().mean(dim=-1, keepdim=True) + 1e-12).rsqrt() * self.gain


def start(module: nn.Module) -> None:
    """FuxiCTR's initial values: near zero for embeddings, Xavier's for a matrix, zero for a bias."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight.data[1:], std=1e-4)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
