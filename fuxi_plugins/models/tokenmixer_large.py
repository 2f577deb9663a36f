"""TokenMixer-Large: tokens mixed and put back in every block, so that a residual adds like to like."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import (
    HeadKind,
    PerTokenExperts,
    PerTokenSwiGLU,
    RMSNorm,
    TokenizerKind,
    check_experts,
    check_ffn,
    check_tokenizer,
    exchange_heads,
    make_head,
    make_tokenizer,
    require_multiple,
    require_one_of,
    require_positive,
)

from .token_model import TokenModel, given, refuse_unused, tokenizer_settings

BlockResidual = Literal["input", "reverted"]
FFNMaker = Callable[[int, int, float], nn.Module]  # of the number of tokens, their width and the expansion


class TokenMixerLarge(TokenModel):
    """TokenMixerLarge mixes tokens, transforms them and reverts the mixing, with a gated network for each token.

    Paper: TokenMixer-Large: Scaling Up Large Ranking Models in Industrial Recommenders, arXiv 2026,
    https://arxiv.org/abs/2602.06563.
    Authors: Yuchen Jiang, Jie Zhu, Xintian Han, Hui Lu, Kunmin Bai, Mingyu Yang, Shikang Wu, Ruihao Zhang, Wenlin Zhao,
    Shipeng Bai, Sijin Zhou, Huizhi Yang, Tianyi Liu, Wenda Liu, Ziyan Gong, Haoran Ding, Zheng Chai, Deping Xie, Zhe
    Chen, Yuchao Zheng, Peng Xu.

        H  = Mix(X)                             head h of every token, H tokens of width TD/H
        H' = H + F1( RMSNorm(H) )
        R  = Mix^-1(H')                         T tokens of width D again
        X' = X + F2( RMSNorm(R) )
        F(x) = ( SiLU(x W_gate + b) * (x W_up + b) ) W_down + b, of every token's own, n times as wide inside

    The number of heads need not be T, and W_down starts small, so that a block starts as nearly the identity. The
    first of the T tokens is a map of all embeddings. Where there are more than ``residual_interval`` blocks, each
    interval but the last ends by adding what it began with to the tokens, and by an auxiliary prediction whose loss
    is added to the model's.

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: no code of the authors is published, and this is written from public descriptions of the paper, not
    held against its numbers. They agree on the block, on pre-normalisation by RMSNorm, on the small start of W_down,
    and on residuals across every two or three blocks but none into the last. They differ or are silent on the rest,
    which is our formulation: whether the second residual starts from X or from R (``block_residual``); biases, here in
    every map; RMSNorm before a head that reads the mean token; one linear map a token for the MLPs of the tokenizer,
    over fields in the order of the dataset; auxiliary predictions at the ends of the intervals, and the weight of
    their loss; n. RMSNorm of all embeddings comes before the tokenizer, as in RankMixer.

    With ``num_experts`` F1 and F2 are the paper's sparse experts, of every token's own:

        F(x) = E_shared(x) + a * sum of g_j E_j(x) over the k experts of the highest scores R x,  g their softmax

    Each E is F above at 1 / E of the inner width. E, k and a are not published; a near E/k is. No loss balances the
    experts' loads.

    Args:
        num_tokens, token_dim, num_blocks: T, the first token among them, D and L.
        num_heads: H; must divide ``token_dim``.
        ffn_expansion: n; with 1 and H = T, a block has about as many weights as RankMixer's has by default.
        block_residual: ``input`` as above; ``reverted`` for X' = R + F2( RMSNorm(R) ).
        global_token: whether the first token is a map of all embeddings; without it, all are the tokenizer's.
        residual_interval: after how many blocks a residual across them is added; None for nowhere.
        aux_loss_weight: of the sum of the auxiliary losses; 0.1 unless given.
        num_experts: E, which must divide the inner widths; None for the dense networks.
        experts_per_token: k; 2 unless given.
        expert_scale: a; E/k unless given.
        shared_expert: whether E_shared is there; it is unless given.
        tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: as in RankMixer.
        head: as in RankMixer.
    """

    small_settings: ClassVar = {"num_tokens": 5, "token_dim": 8, "num_blocks": 3, "num_heads": 2}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "TokenMixerLarge",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        num_heads: int = 8,
        ffn_expansion: float = 1.0,
        block_residual: BlockResidual = "input",
        global_token: bool = True,
        residual_interval: int | None = 2,
        aux_loss_weight: float | None = None,
        num_experts: int | None = None,
        experts_per_token: int | None = None,
        expert_scale: float | None = None,
        shared_expert: bool | None = None,
        tokenizer: TokenizerKind = "per_token",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        head: HeadKind = "mean_pool",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("block_residual", block_residual, BlockResidual)
        require_one_of("head", head, HeadKind)
        require_positive(num_tokens=num_tokens, num_blocks=num_blocks, num_heads=num_heads)
        require_multiple(token_dim=token_dim, num_heads=num_heads)
        if residual_interval is None:
            refuse_unused("without residual_interval", aux_loss_weight=aux_loss_weight)
            residual_interval = num_blocks
        require_positive(residual_interval=residual_interval)
        input_dim = feature_map.sum_emb_out_dim()
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        field_tokens = num_tokens - global_token
        if field_tokens < 1:
            raise ValueError("a global token needs another beside it, num_tokens of 2 or more, but num_tokens=1")
        check_tokenizer(tokenizer, input_dim, field_tokens, token_dim)
        check_ffn(token_dim, (), ffn_expansion)
        make_ffn: FFNMaker = PerTokenSwiGLU
        if num_experts is None:
            refuse_unused(
                "without num_experts",
                experts_per_token=experts_per_token,
                expert_scale=expert_scale,
                shared_expert=shared_expert,
            )
        else:
            picked = given(experts_per_token, 2)
            for width in (token_dim, num_tokens * token_dim // num_heads):
                check_experts(width, ffn_expansion, num_experts, picked)
            make_ffn = partial(
                PerTokenExperts,
                num_experts=num_experts,
                experts_per_token=picked,
                scale=expert_scale,
                shared=given(shared_expert, True),
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.aux_loss_weight = given(aux_loss_weight, 0.1)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, field_tokens, token_dim, **projection)
        if global_token:
            self.tokenizer = WithGlobalToken(self.tokenizer, input_dim, token_dim)
        self.blocks = nn.Sequential(
            *(
                MixRevertBlock(num_tokens, token_dim, num_heads, ffn_expansion, block_residual, make_ffn)
                for _ in range(num_blocks)
            )
        )
        self.head = normed_head(head, num_tokens, token_dim)
        interval_ends = range(residual_interval, num_blocks, residual_interval)  # the last block ends none
        self.aux_heads = nn.ModuleDict({str(end): normed_head(head, num_tokens, token_dim) for end in interval_ends})
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        tokens = self.tokenizer(self.embedding_layer(self.get_inputs(inputs), flatten_emb=True))  # (B, T, D)
        interval_start, auxiliary = tokens, []
        for depth, block in enumerate(self.blocks, start=1):
            tokens = block(tokens)
            if str(depth) in self.aux_heads:
                tokens = interval_start = interval_start + tokens
                auxiliary.append(self.output_activation(self.aux_heads[str(depth)](tokens)))
        return {"y_pred": self.output_activation(self.head(tokens)), "auxiliary": auxiliary}

    def add_loss(self, return_dict: dict[str, Any], y_true: Tensor) -> Tensor:
        early = sum(self.loss_fn(predicted, y_true, reduction="mean") for predicted in return_dict["auxiliary"])
        return super().add_loss(return_dict, y_true) + self.aux_loss_weight * early


class WithGlobalToken(nn.Module):
    """A linear map of the normed embeddings in front of a tokenizer's tokens, (B, nk) -> (B, T, D)."""

    def __init__(self, tokenizer: nn.Module, input_dim: int, token_dim: int):
        super().__init__()
        self.tokenizer = tokenizer
        self.norm = RMSNorm(input_dim)
        self.projection = nn.Linear(input_dim, token_dim)

    def forward(self, flat: Tensor) -> Tensor:
        of_all = self.projection(self.norm(flat)).unsqueeze(1)  # (B, 1, D)
        return torch.cat([of_all, self.tokenizer(flat)], dim=1)


class MixRevertBlock(nn.Module):
    """A block of TokenMixer-Large, (B, T, D) -> (B, T, D)."""

    def __init__(
        self,
        num_tokens: int,
        token_dim: int,
        num_heads: int,
        expansion: float,
        residual: BlockResidual = "input",
        make_ffn: FFNMaker = PerTokenSwiGLU,
    ):
        super().__init__()
        self.num_tokens = num_tokens
        self.num_heads = num_heads
        self.residual = residual
        mixed_dim = num_tokens * token_dim // num_heads
        self.mixed_norm = RMSNorm(mixed_dim)
        self.mixed_ffn = make_ffn(num_heads, mixed_dim, expansion)  # F1
        self.mixing_norm = RMSNorm(token_dim)
        self.ffn = make_ffn(num_tokens, token_dim, expansion)  # F2

    def forward(self, x: Tensor) -> Tensor:
        mixed = exchange_heads(x, self.num_heads)  # H, (B, H, TD/H)
        mixed = mixed + self.mixed_ffn(self.mixed_norm(mixed))
        reverted = exchange_heads(mixed, self.num_tokens)  # R, (B, T, D)
        start = x if self.residual == "input" else reverted
        return start + self.ffn(self.mixing_norm(reverted))


def normed_head(kind: HeadKind, num_tokens: int, token_dim: int) -> nn.Sequential:
    """RMSNorm of each token, then the head, (B, T, D) -> (B, 1)."""
    return nn.Sequential(RMSNorm(token_dim), make_head(kind, num_tokens, token_dim))
