"""UniMixer: tokens mixed by learned doubly stochastic matrices, which sharpen as training goes on."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import (
    BlockMixing,
    HeadKind,
    PerTokenSwiGLU,
    RMSNorm,
    TokenizerKind,
    UniMixing,
    UniMixingLite,
    check_block_size,
    check_ffn,
    check_tokenizer,
    make_head,
    make_tokenizer,
    require_one_of,
    require_positive,
)

from .token_model import TokenModel, given, refuse_unused, tokenizer_settings

Mixing = Literal["full", "lite"]
Residual = Literal["siamese", "post"]


class UniMixer(TokenModel):
    """UniMixer mixes blocks of values by learned matrices that are kept doubly stochastic, where RankMixer permutes.

    Paper: UniMixer: A Unified Architecture for Scaling Laws in Recommendation Systems, arXiv 2026,
    https://arxiv.org/abs/2604.00590.
    Authors: Mingming Ha, Guanchen Wang, Linxun Chen, Xuan Rao, Yuexin Shi, Tianbao Ma, Zhaojie Liu, Yunqian Fan, Zilong
    Lu, Yanan Niu, Han Li, Kun Gai.

        vec(X) = [x_1; ...; x_N], N = T D / s blocks of s values
        Mix(X) = W_G [x_1 W_B1; ...; x_N W_BN],  W_G = SK(G / tau), W_Bi = SK(B_i / tau)
        F(o)   = ( SiLU(o W_gate + b) * (o W_up + b) ) W_down + b, of every token's own, r times as wide inside

    SK makes (W + W^T) / 2 doubly stochastic by Sinkhorn's iterations. RankMixer's P is one such W_G, with s = D / T and
    W_Bi = I. The temperature tau falls linearly over the steps of training, and the matrices become sparser.
    ``mixing="lite"`` is UniMixing-Lite: B_i is a combination of b shared bases, and G a product of low rank.

    Each F_j, a mixing or a network of tokens, updates two streams that both start as the tokens (SiameseNorm):

        O = F_j( X + RMSNorm(Y) ),  X' = RMSNorm(X + O),  Y' = Y + O;  the head reads X + RMSNorm(Y)

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: no code of the paper is published; this is written from public descriptions of it. The paper does not
    tell, and our reading is: the number of iterations, rows before columns, in float32; the start of the logits, of
    standard deviation 1, and of the bases' weights, near 1 for one basis a block; the product of low rank divided by
    the root of its rank; the two streams updated after the mixing and again after the network of tokens; the mean
    token before one linear map as the head. The number of steps in which the temperature falls is not told either. The
    paper's other schedule, to train at 1 and once more from there at 0.05, is not here. Fields are taken in the order
    of the dataset, and RMSNorm of all embeddings comes before the tokenizer, as in RankMixer.

    Args:
        num_tokens, token_dim, num_blocks: T, D and the number of pairs of a mixing and a network of tokens.
        mixing: ``full`` or ``lite``.
        block_size: s; must divide T D.
        num_bases, rank: of ``lite``; 4 and 16 unless given.
        sinkhorn_iterations: with 0 the matrices are the parameters themselves.
        symmetric: whether W is made symmetric first.
        temperature_start, temperature_end, temperature_steps: of tau. Where training is over sooner, tau does not
            reach its end.
        residual: ``siamese`` as above; ``post`` for X' = RMSNorm(X + F_j(X)) alone.
        ffn_expansion: r.
        tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: as in RankMixer.
        head: as in RankMixer.
    """

    small_settings: ClassVar = {"num_tokens": 4, "token_dim": 8, "block_size": 4}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "UniMixer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        mixing: Mixing = "full",
        block_size: int = 8,
        num_bases: int | None = None,
        rank: int | None = None,
        sinkhorn_iterations: int = 20,
        symmetric: bool = True,
        temperature_start: float = 1.0,
        temperature_end: float = 0.05,
        temperature_steps: int = 20_000,
        residual: Residual = "siamese",
        ffn_expansion: float = 2.0,
        tokenizer: TokenizerKind = "per_token",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        head: HeadKind = "mean_pool",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("mixing", mixing, Mixing)
        require_one_of("residual", residual, Residual)
        require_one_of("head", head, HeadKind)
        require_positive(num_blocks=num_blocks, temperature_steps=temperature_steps)
        if sinkhorn_iterations < 0:
            raise ValueError(f"sinkhorn_iterations must be 0 or more, but sinkhorn_iterations={sinkhorn_iterations}")
        if not 0 < temperature_end <= temperature_start:
            raise ValueError(
                "the temperature must fall to a value above 0, but "
                f"temperature_start={temperature_start} and temperature_end={temperature_end}"
            )
        if mixing == "full":
            refuse_unused("with mixing='full'", num_bases=num_bases, rank=rank)
        lite = {"num_bases": given(num_bases, 4), "rank": given(rank, 16)}
        require_positive(**lite)
        input_dim = feature_map.sum_emb_out_dim()
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        check_block_size(num_tokens, token_dim, block_size)
        check_ffn(token_dim, (), ffn_expansion)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        update = SiameseNorm if residual == "siamese" else PostNorm

        def make_mixing() -> BlockMixing:
            shape = (num_tokens, token_dim, block_size, sinkhorn_iterations, symmetric)
            return UniMixing(*shape) if mixing == "full" else UniMixingLite(*shape, **lite)

        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.temperature = FallingTemperature(temperature_start, temperature_end, temperature_steps)
        self.mixings = nn.ModuleList(update(make_mixing(), token_dim) for _ in range(num_blocks))
        self.ffns = nn.ModuleList(
            update(PerTokenSwiGLU(num_tokens, token_dim, ffn_expansion, down_gain=1.0), token_dim)
            for _ in range(num_blocks)
        )
        self.last_norm = RMSNorm(token_dim) if residual == "siamese" else None
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs), flatten_emb=True)  # (B, nk)
        x = y = self.tokenizer(embeddings)  # (B, T, D)
        temperature = self.temperature()
        for mixing, ffn in zip(self.mixings, self.ffns, strict=True):
            x, y = mixing(x, y, temperature)
            x, y = ffn(x, y)
        tokens = x if self.last_norm is None else x + self.last_norm(y)
        return {"y_pred": self.output_activation(self.head(tokens))}

    def stages(self) -> dict[str, nn.Module]:
        """In order of depth, the modules whose outputs are the tokens X (B, T, D) at that stage, for hooks."""
        stages: dict[str, nn.Module] = {"tokens": self.tokenizer}
        for depth, (mixing, ffn) in enumerate(zip(self.mixings, self.ffns, strict=True), start=1):
            stages[f"mixing_{depth}"] = mixing.get_submodule("norm")
            stages[f"ffn_{depth}"] = ffn.get_submodule("norm")
        return stages


class FallingTemperature(nn.Module):
    """tau_j = max( start - (start - end) j / J, end ) of step j; each call in training is a step.

    The count lies in the checkpoint, and evaluation leaves it alone.
    """

    step: Tensor

    def __init__(self, start: float, end: float, steps: int):
        super().__init__()
        self.start, self.end, self.steps = start, end, steps
        self.register_buffer("step", torch.zeros((), dtype=torch.long))

    def forward(self) -> Tensor:
        temperature = (self.start - (self.start - self.end) * self.step / self.steps).clamp_min(self.end)
        if self.training:
            self.step += 1
        return temperature


class SiameseNorm(nn.Module):
    """O = part( X + RMSNorm(Y) ), X' = RMSNorm(X + O), Y' = Y + O; (B, T, D) twice -> (B, T, D) twice."""

    def __init__(self, part: nn.Module, token_dim: int):
        super().__init__()
        self.part = part
        self.y_norm = RMSNorm(token_dim)
        self.norm = RMSNorm(token_dim)

    def forward(self, x: Tensor, y: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        out = self.part(x + self.y_norm(y), *more)
        return self.norm(x + out), y + out


class PostNorm(nn.Module):
    """X' = RMSNorm( X + part(X) ); Y is handed on."""

    def __init__(self, part: nn.Module, token_dim: int):
        super().__init__()
        self.part = part
        self.norm = RMSNorm(token_dim)

    def forward(self, x: Tensor, y: Tensor, *more: Tensor) -> tuple[Tensor, Tensor]:
        return self.norm(x + self.part(x, *more)), y
