"""Sparse experts: every token has several networks of its own, and a router that picks a few of them for each row."""

import torch
from torch import Tensor, nn

from .checks import require_multiple, require_positive
from .per_token import PerTokenLinear, PerTokenSwiGLU, expanded


class PerTokenExperts(nn.Module):
    """y_t = E_shared(x_t) + scale * sum of g_j E_tj(x_t) over the k experts j that token t's router scores highest.

    g is the softmax over the scores R_t x_t of those k. Every expert, the shared one too, is a SwiGLU of token t's own
    whose inner width is the 1/E part of the dense one's. (B, T, D) -> (B, T, D). All experts are computed, and those
    not picked are multiplied by zero. With k = 1 every gate is 1, and the router does not learn.

    Paper: TokenMixer-Large, https://arxiv.org/abs/2602.06563, the sparse per-token mixture of experts.

    Args:
        num_tokens, width, expansion: T, D, and how many times wider than D all experts together are inside.
        num_experts, experts_per_token: E and k.
        scale: E/k unless given, so that routed and dense networks are of one size.
        shared: whether E_shared is there.
    """

    def __init__(
        self,
        num_tokens: int,
        width: int,
        expansion: float,
        num_experts: int,
        experts_per_token: int,
        scale: float | None = None,
        shared: bool = True,
    ):
        check_experts(width, expansion, num_experts, experts_per_token)
        super().__init__()
        self.num_experts = num_experts
        self.experts_per_token = experts_per_token
        self.scale = num_experts / experts_per_token if scale is None else scale
        self.router = PerTokenLinear(num_tokens, width, num_experts, bias=False)
        self.experts = PerTokenSwiGLU(num_tokens * num_experts, width, expansion, share=num_experts)  # E of token 1, ..
        self.shared = PerTokenSwiGLU(num_tokens, width, expansion, share=num_experts) if shared else None

    def gates(self, x: Tensor) -> Tensor:
        """g of every expert, 0 where it is not picked, (B, T, E)."""
        scores = self.router(x)
        picked = scores.topk(self.experts_per_token, dim=-1)
        return torch.zeros_like(scores).scatter(-1, picked.indices, picked.values.softmax(dim=-1))

    def forward(self, x: Tensor) -> Tensor:
        of_each = self.experts(x.repeat_interleave(self.num_experts, dim=1))  # (B, T E, D)
        of_each = of_each.unflatten(1, (-1, self.num_experts))  # (B, T, E, D)
        routed = self.scale * torch.einsum("bte,bted->btd", self.gates(x), of_each)
        return routed if self.shared is None else routed + self.shared(x)


def check_experts(width: int, expansion: float, num_experts: int, experts_per_token: int) -> None:
    """The conditions on the settings of experts, for use before anything is allocated."""
    require_positive(num_experts=num_experts, experts_per_token=experts_per_token)
    if experts_per_token > num_experts:
        raise ValueError(
            "experts_per_token must be at most num_experts, but "
            f"experts_per_token={experts_per_token} and num_experts={num_experts}"
        )
    require_multiple(inner_width=expanded(width, expansion), num_experts=num_experts)
