"""Heads: from the tokens of the last block to one logit a row, (B, T, D) -> (B, 1)."""

from typing import Literal

from torch import Tensor, nn

from .checks import require_one_of, require_positive

HeadKind = Literal["mlp", "linear", "mean_pool", "mean"]


class MLPHead(nn.Sequential):
    """vec(X) through Linear(TD, 2TD), ReLU, Linear(2TD, 1). It mixes the tokens by itself."""

    def __init__(self, num_tokens: int, token_dim: int):
        width = num_tokens * token_dim
        super().__init__(nn.Flatten(), nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 1))


class LinearHead(nn.Sequential):
    """vec(X) through Linear(TD, 1)."""

    def __init__(self, num_tokens: int, token_dim: int):
        super().__init__(nn.Flatten(), nn.Linear(num_tokens * token_dim, 1))


class MeanPoolHead(nn.Module):
    """The mean over the tokens, then Linear(D, 1)."""

    def __init__(self, token_dim: int):
        super().__init__()
        self.linear = nn.Linear(token_dim, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x.mean(dim=1))


class MeanHead(nn.Module):
    """The mean over all TD values; no parameters."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1).mean(dim=1, keepdim=True)


def make_head(kind: HeadKind, num_tokens: int, token_dim: int) -> nn.Module:
    """The head of that kind."""
    require_one_of("head", kind, HeadKind)
    require_positive(num_tokens=num_tokens, token_dim=token_dim)
    if kind == "mlp":
        return MLPHead(num_tokens, token_dim)
    if kind == "linear":
        return LinearHead(num_tokens, token_dim)
    return MeanPoolHead(token_dim) if kind == "mean_pool" else MeanHead()
