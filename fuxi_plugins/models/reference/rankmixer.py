"""RankMixer as its paper describes it, in one file that needs torch alone.

The model that a benchmark runs is ``fuxi_plugins/models/rankmixer.py``; a test holds this file equal to it.
Paper: RankMixer: Scaling Up Ranking Models in Industrial Recommenders, CIKM 2025, https://arxiv.org/abs/2507.15551.

The letters behind a name are its shape, ``x_BTD`` is (B, T, D):
    B rows, F fields, E values of all embeddings of a row, T tokens, D values of a token, S = ceil(E / T),
    I and O values into and out of a per-token map.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as nnf
from torch import Tensor, nn


class RankMixer(nn.Module):
    """The ids of a row's fields -> the probability of a click.

    >>> RankMixer(vocab_sizes=[100, 50, 20])(torch.tensor([[1, 2, 3], [4, 5, 6]])).shape
    torch.Size([2, 1])
    """

    def __init__(
        self,
        vocab_sizes: Sequence[int],  # of each field; id 0 is padding
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,  # a multiple of num_tokens
        num_blocks: int = 2,
        expansion: float = 3.0,
    ):
        super().__init__()
        e = len(vocab_sizes) * embedding_dim
        slice_width = -(-e // num_tokens)
        self.tables = nn.ModuleList(nn.Embedding(size, embedding_dim, padding_idx=0) for size in vocab_sizes)
        self.norm = nn.RMSNorm(e, eps=1e-12)
        self.pad = nn.ZeroPad1d((0, num_tokens * slice_width - e))
        self.to_slices = nn.Unflatten(1, (num_tokens, slice_width))
        self.tokenizer = PerTokenLinear(num_tokens, slice_width, token_dim)
        self.blocks = nn.Sequential(*(Block(num_tokens, token_dim, expansion) for _ in range(num_blocks)))
        self.head = nn.Linear(token_dim, 1)
        self.apply(start)

    def forward(self, ids_BF: Tensor) -> Tensor:
        x_BE = torch.cat([table(ids_B) for table, ids_B in zip(self.tables, ids_BF.unbind(1), strict=True)], dim=1)
        x_BTS = self.to_slices(self.pad(self.norm(x_BE)))
        x_BTD = self.blocks(self.tokenizer(x_BTS))
        return self.head(x_BTD.mean(dim=1)).sigmoid()  # (B, 1)


class Block(nn.Module):
    """The tokens exchange their parts, then every token goes through a network of its own."""

    def __init__(self, num_tokens: int, token_dim: int, expansion: float):
        super().__init__()
        self.norm_mixed = nn.LayerNorm(token_dim)
        self.up = PerTokenLinear(num_tokens, token_dim, int(expansion * token_dim))
        self.down = PerTokenLinear(num_tokens, int(expansion * token_dim), token_dim)
        self.norm_out = nn.LayerNorm(token_dim)

    def forward(self, x_BTD: Tensor) -> Tensor:
        x_BTD = self.norm_mixed(x_BTD + exchange_parts(x_BTD))
        return self.norm_out(x_BTD + self.down(nnf.gelu(self.up(x_BTD))))


def exchange_parts(x_BTD: Tensor) -> Tensor:
    """Cuts every token in T parts; new token t is the t-th part of each token."""
    batch, num_tokens, token_dim = x_BTD.shape
    parts = x_BTD.view(batch, num_tokens, num_tokens, token_dim // num_tokens)  # (B, token, part, D / T)
    return parts.transpose(1, 2).reshape(batch, num_tokens, token_dim)


class PerTokenLinear(nn.Module):
    """A matrix and a bias of every token's own, which start by Xavier's rule and at zero."""

    def __init__(self, num_tokens: int, inputs: int, outputs: int):
        super().__init__()
        self.weight_TIO = nn.Parameter(torch.randn(num_tokens, inputs, outputs) * (2 / (inputs + outputs)) ** 0.5)
        self.bias_TO = nn.Parameter(torch.zeros(num_tokens, outputs))

    def forward(self, x_BTI: Tensor) -> Tensor:
        return torch.einsum("bti,tio->bto", x_BTI, self.weight_TIO) + self.bias_TO


def start(module: nn.Module) -> None:
    """FuxiCTR's initial values: near zero for embeddings, Xavier's for a matrix, zero for a bias."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight.data[1:], std=1e-4)
    elif isinstance(module, nn.Linear):
        nn.init.xavier_normal_(module.weight)
        nn.init.zeros_(module.bias)
