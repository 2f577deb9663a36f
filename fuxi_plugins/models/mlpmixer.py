"""MLPMixer: an MLP across the tokens and an MLP within each, alternating."""

from collections.abc import Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import (
    LayerNorm,
    MeanPoolHead,
    TokenBlock,
    TokenizerKind,
    check_tokenizer,
    make_tokenizer,
    require_positive,
)

from .token_model import TokenModel, tokenizer_settings


class MLPMixer(TokenModel):
    """MLPMixer mixes tokens by a learned MLP that all channels share, then channels by one that all tokens share.

    Paper: MLP-Mixer: An all-MLP Architecture for Vision, NeurIPS 2021, https://arxiv.org/abs/2105.01601.
    Authors: Ilya Tolstikhin, Neil Houlsby, Alexander Kolesnikov, Lucas Beyer, Xiaohua Zhai, Thomas Unterthiner, Jessica
    Yung, Andreas Steiner, Daniel Keysers, Jakob Uszkoreit, Mario Lucic, Alexey Dosovitskiy.

        U  = X + V2 GELU( V1 LayerNorm_D(X) + a1 ) + a2         V over the tokens, T -> tokens_mlp_dim -> T
        X' = U + GELU( LayerNorm_D(U) W1 + b1 ) W2 + b2         W over the channels, D -> channels_mlp_dim -> D
        y  = sigmoid( w mean_t(LayerNorm_D(X^L)) + b )

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the paper's tokens are patches of an image; here they come from the field embeddings by one of
    RankMixer's tokenizers, which start with RMSNorm.

    Args:
        num_tokens, token_dim, num_blocks: T, D and L.
        tokens_mlp_dim, channels_mlp_dim: widths of the hidden layers of the two MLPs.
        dropout: after each GELU.
        tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: as in RankMixer.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "MLPMixer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        tokens_mlp_dim: int = 16,
        channels_mlp_dim: int = 128,
        dropout: float = 0.0,
        tokenizer: TokenizerKind = "per_token",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        input_dim = feature_map.sum_emb_out_dim()
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        require_positive(num_blocks=num_blocks, tokens_mlp_dim=tokens_mlp_dim, channels_mlp_dim=channels_mlp_dim)
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.blocks = nn.Sequential(
            *(
                TokenBlock(
                    mixing=TokenMLP(num_tokens, token_dim, tokens_mlp_dim, dropout),
                    mixing_norm=nn.Identity(),
                    ffn=nn.Sequential(LayerNorm(token_dim), *mlp(token_dim, channels_mlp_dim, dropout)),
                )
                for _ in range(num_blocks)
            )
        )
        self.head = nn.Sequential(LayerNorm(token_dim), MeanPoolHead(token_dim))
        self.finish_init(learning_rate, **kwargs)


class TokenMLP(nn.Module):
    """X + MLP over the tokens of LayerNorm(X), the same for each channel; (B, T, D) -> (B, T, D)."""

    def __init__(self, num_tokens: int, token_dim: int, hidden_dim: int, dropout: float):
        super().__init__()
        self.norm = LayerNorm(token_dim)
        self.mlp = mlp(num_tokens, hidden_dim, dropout)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x).transpose(1, 2)).transpose(1, 2)


def mlp(width: int, hidden_dim: int, dropout: float) -> nn.Sequential:
    """Linear, GELU, dropout, Linear, over the last axis."""
    return nn.Sequential(nn.Linear(width, hidden_dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden_dim, width))
