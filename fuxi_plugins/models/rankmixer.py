"""RankMixer: tokens mixed by a fixed block transpose, and per-token feed-forward networks."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import nn

from fuxi_plugins.layers import (
    HeadKind,
    LayerNorm,
    MixingOptions,
    TokenBlock,
    TokenizerKind,
    check_ffn,
    check_mixing,
    check_tokenizer,
    expanded,
    make_head,
    make_mixing,
    make_tokenizer,
    mlp_ffn,
    require_one_of,
    require_positive,
    rms_norm_block,
)

from .token_model import Formulation, TokenModel, given, refuse_unused, tokenizer_settings


class RankMixer(TokenModel):
    """RankMixer mixes tokens by exchanging their parts, without parameters, and gives every token its own FFN.

    Paper: RankMixer: Scaling Up Ranking Models in Industrial Recommenders, CIKM 2025,
    https://arxiv.org/abs/2507.15551.
    Authors: Jie Zhu, Zhifang Fan, Xiaoxie Zhu, Yuchen Jiang, Hangyu Wang, Xintian Han, Haoran Ding, Xinmin Wang, Wenlin
    Zhao, Zhen Gong, Huizhi Yang, Zheng Chai, Zhe Chen, Yuchao Zheng, Qiwei Chen, Feng Zhang, Xun Zhou, Peng Xu, Xiao
    Yang, Di Wu, Zuotao Liu.

    ``formulation="paper"`` is what the paper says:

        S  = LayerNorm_D( P X + X )
        X' = LayerNorm_D( PFFN(S) + S ),  PFFN_t(s) = GELU(s W1_t + b1_t) W2_t + b2_t

    P cuts every token in T heads and gives head h of every token to new token h, so T must divide D. W1 is D -> rD,
    W2 rD -> D, both of every token's own.

    ``formulation="official_code"`` is how the RankElastor authors ran it as their baseline, from which the
    RankMixer rows of their paper come:

        M  = RMSNorm_D( LayerNorm_D( P X + X ) )
        X' = M + F(M),  F_t = Linear, GELU for each width of ``ffn_hidden_units``, then Linear to D

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the paper groups fields by their meaning, here they are taken in the order of the dataset;
    RMSNorm of all embeddings comes before the tokenizer, because FuxiCTR starts embeddings at a standard
    deviation of 1e-4; the paper publishes neither r nor its task head. The sparse mixture of experts is not
    here.

    Args:
        formulation: which of the two formulas.
        num_tokens, token_dim, num_blocks: T, D and L.
        tokenizer: ``per_token`` a projection for each of T slices of the embeddings, the paper's; ``shared``
            one MLP for all slices, the repository's; ``joint`` one MLP for all embeddings at once;
            ``reshape`` none. That of the formulation unless given.
        tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: of the MLP in ``shared`` and ``joint``;
            (500,), no norm, and 0 unless given.
        mixing_scale, mixing_residual: controls; X + a P X with another a than 1, and P X without the X.
        ffn_expansion: r, in the paper's formulation; 3 unless given.
        ffn_hidden_units, ffn_norm, ffn_dropout: in the official code's formulation; (200, 200), no norm (else
            RMSNorm before each GELU), and 0 unless given.
        head: ``mean_pool`` the mean token -> 1, the paper's; ``mlp`` TD -> 2TD -> 1, the repository's;
            ``linear`` TD -> 1; ``mean`` of all values. That of the formulation unless given.
    """

    small_settings: ClassVar = {"num_tokens": 4, "token_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "RankMixer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        formulation: Formulation = "paper",
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        tokenizer: TokenizerKind | None = None,
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        mixing_scale: float | None = None,
        mixing_residual: bool = True,
        ffn_expansion: float | None = None,
        ffn_hidden_units: Sequence[int] | None = None,
        ffn_norm: bool | None = None,
        ffn_dropout: float | None = None,
        head: HeadKind | None = None,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("formulation", formulation, Formulation)
        if formulation == "paper":
            refuse_unused(
                "with formulation='paper'",
                ffn_hidden_units=ffn_hidden_units,
                ffn_norm=ffn_norm,
                ffn_dropout=ffn_dropout,
            )
        else:
            refuse_unused("with formulation='official_code'", ffn_expansion=ffn_expansion)
        input_dim = feature_map.sum_emb_out_dim()
        tokenizer = given(tokenizer, "per_token" if formulation == "paper" else "shared")
        head = given(head, "mean_pool" if formulation == "paper" else "mlp")
        require_one_of("head", head, HeadKind)
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        hidden_units = given(ffn_hidden_units, (200, 200))
        expansion = given(ffn_expansion, 3.0)
        dropout = given(ffn_dropout, 0.0)
        require_positive(num_blocks=num_blocks)
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        mixing_options = MixingOptions(scale=mixing_scale, residual=mixing_residual)
        check_mixing("block_transpose", num_tokens, token_dim, options=mixing_options)
        check_ffn(token_dim, hidden_units, expansion, dropout)

        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        if formulation == "paper":
            make_block = partial(paper_block, mixing_options=mixing_options, expansion=expansion)
        else:
            make_block = partial(
                rms_norm_block,
                mixing="block_transpose",
                mixing_norm="after",
                mixing_options=mixing_options,
                ffn="gelu",
                ffn_hidden_units=hidden_units,
                ffn_norm=given(ffn_norm, False),
                ffn_dropout=dropout,
            )
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.blocks = nn.Sequential(*(make_block(num_tokens, token_dim) for _ in range(num_blocks)))
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)


def paper_block(num_tokens: int, token_dim: int, mixing_options: MixingOptions, expansion: float) -> TokenBlock:
    """The block of the paper, (B, T, D) -> (B, T, D)."""
    return TokenBlock(
        mixing=make_mixing("block_transpose", num_tokens, token_dim, norm=None, options=mixing_options),
        mixing_norm=LayerNorm(token_dim),
        ffn=mlp_ffn(num_tokens, token_dim, [expanded(token_dim, expansion)], "gelu"),
        ffn_norm=LayerNorm(token_dim),
    )
