"""How near a behaviour is to what it is read for, by an MLP as in DIN."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .fuxictr_layers import mlp_block


class MLPScore(nn.Module):
    """MLP([q; s; q - s; q * s]): a query (B, m), or one for each behaviour (B, L, m), behaviours (B, L, m) -> (B, L).

    Args:
        width: m.
        hidden_units, activation, dropout: of the MLP.
        output_bias: whether its last layer has a bias, which a softmax of the scores takes no notice of.
    """

    def __init__(
        self,
        width: int,
        hidden_units: Sequence[int],
        activation: str | Sequence[str],
        dropout: float,
        output_bias: bool = True,
    ):
        super().__init__()
        self.mlp = mlp_block(4 * width, hidden_units, 1, activation, dropout, batch_norm=False)
        if not output_bias:
            self.mlp.mlp[-1] = nn.Linear(self.mlp.mlp[-1].in_features, 1, bias=False)

    def forward(self, query: Tensor, behaviours: Tensor) -> Tensor:
        q = (query if query.dim() == 3 else query.unsqueeze(1)).expand_as(behaviours)
        pairs = torch.cat([q, behaviours, q - behaviours, q * behaviours], dim=-1)  # (B, L, 4m)
        return self.mlp(pairs.flatten(0, 1)).view(behaviours.shape[:2])
