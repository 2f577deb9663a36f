"""The block that RankMixer and RankElastor share, and its form in the RankElastor authors' code."""

from collections.abc import Sequence

from torch import Tensor, nn

from .mixing import PLAIN, MixingKind, MixingNorm, MixingOptions, make_mixing
from .norms import RMSNorm
from .per_token import FFNKind, glu_ffn, mlp_ffn


class TokenBlock(nn.Module):
    """Mixing between the tokens, then a network for each of them, (B, T, D) -> (B, T, D).

        M  = mixing_norm( mixing(X) )             the mixing brings its own residual
        X' = ffn_norm( ffn_skip(M) + ffn(M) )

    The parts are modules with these names, so that hooks can read M, the output of ``mixing_norm``, and X',
    the output of the block.
    """

    def __init__(
        self,
        mixing: nn.Module,
        mixing_norm: nn.Module,
        ffn: nn.Module,
        ffn_skip: nn.Module | None = None,
        ffn_norm: nn.Module | None = None,
    ):
        super().__init__()
        self.mixing = mixing
        self.mixing_norm = mixing_norm
        self.ffn = ffn
        self.ffn_skip = ffn_skip or nn.Identity()
        self.ffn_norm = ffn_norm or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        m = self.mixing_norm(self.mixing(x))
        return self.ffn_norm(self.ffn_skip(m) + self.ffn(m))


def rms_norm_block(
    num_tokens: int,
    token_dim: int,
    *,
    mixing: MixingKind,
    mixing_norm: MixingNorm | None,
    mixing_options: MixingOptions = PLAIN,
    ffn: FFNKind,
    ffn_hidden_units: Sequence[int],
    ffn_expansion: float = 3.0,
    ffn_norm: bool,
    ffn_dropout: float = 0.0,
) -> TokenBlock:
    """The block of the RankElastor authors' code, in which they ran RankMixer too; (B, T, D) -> (B, T, D).

        M  = RMSNorm_D( mixing(X) )
        X' = M + F(M)               the residual starts from the normed M, and no norm follows

    ``ffn_expansion`` belongs to the ``glu`` FFN.
    """
    if ffn == "glu":
        network = glu_ffn(num_tokens, token_dim, ffn_hidden_units, ffn_expansion, ffn_norm, ffn_dropout)
    else:
        network = mlp_ffn(num_tokens, token_dim, ffn_hidden_units, ffn, ffn_norm, ffn_dropout)
    return TokenBlock(
        mixing=make_mixing(mixing, num_tokens, token_dim, mixing_norm, mixing_options),
        mixing_norm=RMSNorm(token_dim),
        ffn=network,
    )
