"""InterFormer's parts: gated summaries, the two sides of a layer, and the attention's turned places.

B rows, n fields, L places of a history behind ``cls`` tokens in front of it, k the width of an embedding. ``real`` says
which of the L places hold a behaviour.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fuxi_plugins.layers import RMSNorm

from .dhen import CrossInteraction, DotInteraction

GateKind = Literal["self", "paper"]


class MaskedProjection(nn.Module):
    """W (S * MLP(S)) + b, (B, L, m) -> (B, L, k): what of several histories matters at a place."""

    def __init__(self, inputs: int, width: int):
        super().__init__()
        self.mask = nn.Sequential(nn.Linear(inputs, inputs), nn.ReLU(), nn.Linear(inputs, inputs))
        self.projection = nn.Linear(inputs, width)

    def forward(self, s: Tensor) -> Tensor:
        return self.projection(s * self.mask(s))


class Gate(nn.Module):
    """Z * sigmoid(MLP(Z)), or by the paper's text sigmoid(Z * MLP(Z)); (..., k) -> (..., k)."""

    def __init__(self, width: int, kind: GateKind):
        super().__init__()
        self.kind = kind
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, z: Tensor) -> Tensor:
        return z * self.mlp(z).sigmoid() if self.kind == "self" else (z * self.mlp(z)).sigmoid()


class HistorySummary(nn.Module):
    """Gate([S_cls; S_pool; S_recent]): S (B, cls + L, k), real (B, L) -> (B, rows, k).

    S_recent is zero where a row has no more behaviours, and so is S_pool where it has none.
    """

    def __init__(self, width: int, num_cls: int, num_pooling: int, num_recent: int, gate: Gate):
        super().__init__()
        self.num_cls, self.num_recent = num_cls, num_recent
        self.queries = nn.Parameter(torch.empty(num_pooling, width))
        self.query_map, self.key_map, self.value_map, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.norm = RMSNorm(width)
        self.gate = gate

    def init_weights(self) -> None:
        """FuxiCTR calls it; queries of standard deviation 1 ask for different things from the start."""
        nn.init.normal_(self.queries)

    def forward(self, s: Tensor, real: Tensor) -> Tensor:
        cls, behaviours = s[:, : self.num_cls], s[:, self.num_cls :]
        is_real = real.unsqueeze(-1)
        recent = behaviours[:, -self.num_recent :] * is_real[:, -self.num_recent :]
        keys = self.norm(behaviours)
        scores = self.query_map(self.queries) @ self.key_map(keys).transpose(1, 2) / s.shape[-1] ** 0.5
        weights = scores.masked_fill(~real.unsqueeze(1), -1e9).softmax(dim=-1) * real.unsqueeze(1)  # (B, pool, L)
        pooled = self.output(weights @ self.value_map(behaviours))
        return self.gate(torch.cat([cls, pooled, recent], dim=1))


class FieldInteraction(nn.Module):
    """RMSNorm( X + I([X; S_sum]) ): X (B, n, k), S_sum (B, rows, k) -> (B, n, k)."""

    def __init__(self, num_fields: int, summary_rows: int, width: int, dot_width: int, cross_rank: int):
        super().__init__()
        rows = num_fields + summary_rows
        self.dot = DotInteraction(rows, num_fields, width, dot_width)
        self.cross = CrossInteraction(rows, num_fields, width, cross_rank)
        self.norm = RMSNorm(width)

    def forward(self, x: Tensor, s_sum: Tensor) -> Tensor:
        both = torch.cat([x, s_sum], dim=1)
        return self.norm(x + self.dot(both) + self.cross(both))


class SequenceInteraction(nn.Module):
    """S + Attention( RMSNorm( S (X_sum^T W)^T ) ): S (B, cls + L, k), X_sum (B, rows, k), real (B, L) -> like S.

    W (rows, k) makes of X_sum a matrix (k, k) for every row of data.
    """

    def __init__(self, summary_rows: int, width: int, num_heads: int, dropout: float):
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.weight = nn.Parameter(torch.empty(summary_rows, width))
        self.norm = RMSNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def init_weights(self) -> None:
        """FuxiCTR calls it; with an X_sum of unit size, X_sum^T W is then about as large as the identity."""
        nn.init.normal_(self.weight, std=self.weight.numel() ** -0.5)

    def forward(self, s: Tensor, x_sum: Tensor, real: Tensor) -> Tensor:
        personal = s @ self.weight.T @ x_sum  # (B, cls + L, k)
        q, k, v = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, H, cls + L, k/H)
            for part in self.queries_keys_values(self.norm(personal)).chunk(3, dim=-1)
        )
        seen = F.pad(real, (s.shape[1] - real.shape[1], 0), value=True)  # the places in front are always there
        dropout = self.dropout if self.training else 0.0
        mask = seen[:, None, None, :]
        attended = F.scaled_dot_product_attention(rotated(q), rotated(k), v, mask, dropout)
        return s + self.output(attended.transpose(1, 2).flatten(2))


class InterFormerLayer(nn.Module):
    """Both sides from the summaries of the layer's input: X (B, n, k), S (B, cls + L, k), real (B, L) -> X', S'."""

    def __init__(
        self,
        summary_of_fields: nn.Module,
        summary_of_history: nn.Module,
        fields: FieldInteraction,
        sequence: SequenceInteraction,
    ):
        super().__init__()
        self.summary_of_fields, self.summary_of_history = summary_of_fields, summary_of_history
        self.fields, self.sequence = fields, sequence

    def forward(self, x: Tensor, s: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
        x_sum, s_sum = self.summary_of_fields(x), self.summary_of_history(s, real)
        return self.fields(x, s_sum), self.sequence(s, x_sum, real)


def rotated(x: Tensor) -> Tensor:
    """Turns the i-th pair of coordinates at place p by the angle p / 10000^(2i/d); (..., L, d) of even d.

    The inner product of two turned vectors depends on the distance of their places alone (Su et al., RoFormer, 2021).
    """
    length, width = x.shape[-2:]
    frequency = 10_000.0 ** (-torch.arange(0, width, 2, device=x.device, dtype=x.dtype) / width)
    angle = torch.arange(length, device=x.device, dtype=x.dtype).unsqueeze(1) * frequency  # (L, d/2)
    first, second = x.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([first * cos - second * sin, first * sin + second * cos], dim=-1).flatten(-2)
