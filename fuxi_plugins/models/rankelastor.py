"""RankElastor: learnable mixing of all token values, and gated per-token networks."""

from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import nn

from fuxi_plugins.layers import (
    FFNKind,
    HeadKind,
    MixingKind,
    MixingNorm,
    MixingOptions,
    PerTokenGLU,
    PerTokenLinear,
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


class RankElastor(TokenModel):
    """RankElastor mixes all token values by one learnable matrix and gives every token a gated network.

    Paper: Expand More, Shrink Less: Shaping Effective-Rank Dynamics for Dense Scaling in Recommendation,
    KDD 2026, https://arxiv.org/abs/2605.23191.
    Authors: Guoming Li, Shangyu Zhang, Junwei Pan, Wentao Ning, Jin Chen, Gengsheng Xue, Chao Zhou, Shudong Huang,
    Haijie Gu, Menglin Yang.

    ``formulation="official_code"`` is what the authors' published code computes, from which their numbers come:

        M  = RMSNorm_D( X + W RMSNorm_TD(vec X) + b )
        X' = M + F(M)

    F has a network for each token. For each width h of ``ffn_hidden_units`` it applies RMSNorm, then
    G(x) = ( (x W_lift + GELU(x W_gate)) * x W_value ) W_down + x W_skip, which is r times as wide inside, then a map
    to h where the width changes. A last map leads to D. All maps have biases.

    ``formulation="paper"`` is what the paper's equations say. W1, W2, W3 and W_r are separate for each token:

        M  = LayerNorm_D( vec X + W vec X )
        X' = ( GELU(M W1) * (M W2) ) W3 + M W_r

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: a token that is zero, as of an empty history, gets no gradient through RMSNorm, where the repository's
    code gives it one that overflows (see ``layers/norms.py``). The equations leave open what the norm averages over
    (here each token), the tokenizer and the head (here the repository's). For the paper's ablations, ``mixing`` and
    ``ffn`` replace the two components in either formulation; a ``gelu`` or ``relu`` FFN is, in the paper's formulation,
    RankMixer's: act(M W1 + b1) W2 + b2 + M.

    Args:
        formulation: which of the two formulas.
        num_tokens, token_dim, num_blocks: T, D and L.
        tokenizer: ``shared`` one MLP for each of T equal slices of the embeddings, ``joint`` one MLP for all
            of them at once, ``per_token`` a projection of its own for each slice, ``reshape`` none.
        tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: of the MLP in ``shared`` and ``joint``;
            (500,), RMSNorm on, and 0 unless given.
        mixing: ``full`` the learnable matrix, ``none``, ``block_transpose`` RankMixer's, ``grouped`` one
            small matrix for each of equal pieces of vec X; as controls ``low_rank``, the full matrix held to a
            rank, and ``orthogonal``, a random rotation that is not learned.
        mixing_groups: the number of pieces in ``grouped``, needed there.
        mixing_rank: the rank in ``low_rank``, needed there.
        mixing_scale: a in X + a W vec X, of any mixing; 1 unless given.
        mixing_residual: false leaves W vec X without the X.
        mixing_norm: the norm that belongs to the mixing in the official code's formulation: RMSNorm_TD ``before``
            the map, or LayerNorm_D ``after`` its residual. Unless given, ``before``, and ``after`` for
            ``block_transpose``.
        ffn: ``glu`` as above, or plain: Linear, RMSNorm, ``gelu`` or ``relu`` for each hidden width, then
            Linear.
        ffn_hidden_units, ffn_norm, ffn_dropout: in the official code's formulation; (64, 64), RMSNorm on, and 0
            unless given.
        ffn_expansion: r, in ``glu`` and in the paper's formulation; 3 unless given.
        head: ``mlp`` TD -> 2TD -> 1, ``linear`` TD -> 1, ``mean_pool`` the mean token -> 1, ``mean`` of all
            values.
    """

    board_settings: ClassVar = {"tokenizer_hidden_units": [64], "ffn_hidden_units": [16]}
    small_settings: ClassVar = {
        "num_tokens": 4,
        "token_dim": 8,
        "tokenizer_hidden_units": [16],
        "ffn_hidden_units": [8],
    }

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "RankElastor",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        formulation: Formulation = "official_code",
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        tokenizer: TokenizerKind = "joint",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        mixing: MixingKind = "full",
        mixing_groups: int | None = None,
        mixing_rank: int | None = None,
        mixing_scale: float | None = None,
        mixing_residual: bool = True,
        mixing_norm: MixingNorm | None = None,
        ffn: FFNKind = "glu",
        ffn_hidden_units: Sequence[int] | None = None,
        ffn_expansion: float | None = None,
        ffn_norm: bool | None = None,
        ffn_dropout: float | None = None,
        head: HeadKind = "mlp",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("formulation", formulation, Formulation)
        require_one_of("ffn", ffn, FFNKind)
        require_one_of("head", head, HeadKind)
        if mixing == "none":
            refuse_unused("with mixing='none'", mixing_norm=mixing_norm)
        if formulation == "paper":
            refuse_unused(
                "with formulation='paper'",
                mixing_norm=mixing_norm,
                ffn_hidden_units=ffn_hidden_units,
                ffn_norm=ffn_norm,
                ffn_dropout=ffn_dropout,
            )
        elif ffn != "glu":
            refuse_unused(f"with ffn={ffn!r} and formulation='official_code'", ffn_expansion=ffn_expansion)
        input_dim = feature_map.sum_emb_out_dim()
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=True
        )
        hidden_units = given(ffn_hidden_units, (64, 64))
        expansion = given(ffn_expansion, 3.0)
        dropout = given(ffn_dropout, 0.0)
        require_positive(num_blocks=num_blocks)
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        mixing_options = MixingOptions(mixing_groups, mixing_rank, mixing_scale, mixing_residual)
        check_mixing(mixing, num_tokens, token_dim, mixing_norm, mixing_options)
        check_ffn(token_dim, hidden_units, expansion, dropout)

        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        if formulation == "official_code":
            norm_place = given(mixing_norm, "after" if mixing == "block_transpose" else "before")
            make_block = partial(
                rms_norm_block,
                mixing=mixing,
                mixing_norm=norm_place,
                mixing_options=mixing_options,
                ffn=ffn,
                ffn_hidden_units=hidden_units,
                ffn_expansion=expansion,
                ffn_norm=given(ffn_norm, True),
                ffn_dropout=dropout,
            )
        else:
            make_block = partial(
                paper_block, mixing=mixing, mixing_options=mixing_options, ffn=ffn, expansion=expansion
            )
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.blocks = nn.Sequential(*(make_block(num_tokens, token_dim) for _ in range(num_blocks)))
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)


def paper_block(
    num_tokens: int,
    token_dim: int,
    mixing: MixingKind,
    mixing_options: MixingOptions,
    ffn: FFNKind,
    expansion: float,
) -> TokenBlock:
    """The block of the paper's equations, (B, T, D) -> (B, T, D)."""
    network: nn.Module
    skip: nn.Module
    if ffn == "glu":
        network = PerTokenGLU(num_tokens, token_dim, expansion)
        skip = PerTokenLinear(num_tokens, token_dim, token_dim, bias=False)  # W_r
    else:
        network = mlp_ffn(num_tokens, token_dim, [expanded(token_dim, expansion)], ffn)
        skip = nn.Identity()
    return TokenBlock(
        mixing=make_mixing(mixing, num_tokens, token_dim, norm=None, options=mixing_options, bias=False),
        mixing_norm=nn.LayerNorm(token_dim),
        ffn=network,
        ffn_skip=skip,
    )
