"""HiFormer: self-attention whose queries, keys and values are made from all tokens at once."""

from collections.abc import Sequence
from typing import Any, ClassVar

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import (
    HeadKind,
    PerTokenLinear,
    TokenBlock,
    TokenizerKind,
    check_ffn,
    check_tokenizer,
    expanded,
    make_head,
    make_tokenizer,
    mlp_ffn,
    require_multiple,
    require_positive,
)

from .token_model import TokenModel, tokenizer_settings


class HiFormer(TokenModel):
    """HiFormer attends between composite tokens: each query, key and value sees all tokens, through low-rank maps.

    Paper: Hiformer: Heterogeneous Feature Interactions Learning with Transformers for Recommender Systems, arXiv
    2023, https://arxiv.org/abs/2311.05884.
    Authors: Huan Gui, Ruoxi Wang, Ke Yin, Long Jin, Maciej Kula, Taibai Xu, Lichan Hong, Ed H. Chi.

        [q_1; ...; q_T]_h = ( vec(X) L_h ) R_h, L (TD, rank), R (rank, T D/heads); keys and values likewise
        S  = LayerNorm_D( X + [softmax( Q_h K_h^T / sqrt(D/heads) ) V_h over the heads] )
        X' = LayerNorm_D( S + FFN_t(S) ),  FFN_t(s) = GELU(s W1_t + b1_t) W2_t + b2_t

    The FFN is every token's own, r D wide inside.

    Data: any features; a sequence must be pooled to one embedding.

    Deviations: the paper's tokens are features, and one more for each task, which the prediction is read from;
    here they come from the field embeddings by one of RankMixer's tokenizers, which start with RMSNorm, and a
    head reads them all. The last layer is computed in full.

    Args:
        num_tokens, token_dim, num_blocks: T, D and L.
        num_heads: heads; must divide ``token_dim``.
        rank: of the composite maps; None for full matrices, TD -> T D/heads for each head.
        ffn_expansion: r.
        ffn_dropout: after each GELU.
        tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: as in RankMixer.
        head: as in RankMixer.
    """

    board_settings: ClassVar = {"num_heads": 2}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "HiFormer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        num_heads: int = 4,
        rank: int | None = 16,
        ffn_expansion: float = 2.0,
        ffn_dropout: float = 0.0,
        tokenizer: TokenizerKind = "per_token",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        head: HeadKind = "mean_pool",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        input_dim = feature_map.sum_emb_out_dim()
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        require_positive(num_blocks=num_blocks, num_heads=num_heads)
        if rank is not None:
            require_positive(rank=rank)
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        require_multiple(token_dim=token_dim, num_heads=num_heads)
        check_ffn(token_dim, (), ffn_expansion, ffn_dropout)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        ffn_width = expanded(token_dim, ffn_expansion)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.blocks = nn.Sequential(
            *(
                TokenBlock(
                    mixing=CompositeAttention(num_tokens, token_dim, num_heads, rank),
                    mixing_norm=nn.LayerNorm(token_dim),
                    ffn=mlp_ffn(num_tokens, token_dim, [ffn_width], "gelu", dropout=ffn_dropout),
                    ffn_norm=nn.LayerNorm(token_dim),
                )
                for _ in range(num_blocks)
            )
        )
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)


class CompositeAttention(nn.Module):
    """X + [softmax( Q_h K_h^T / sqrt(d) ) V_h over the heads], d = D / heads; (B, T, D) -> (B, T, D)."""

    def __init__(self, num_tokens: int, token_dim: int, num_heads: int, rank: int | None):
        super().__init__()
        sizes = (num_tokens, token_dim, num_heads, rank)
        self.query = CompositeProjection(*sizes)
        self.key = CompositeProjection(*sizes)
        self.value = CompositeProjection(*sizes)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)  # (B, heads, T, d)
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5  # (B, heads, T, T)
        attended = scores.softmax(dim=-1) @ v
        return x + attended.transpose(1, 2).flatten(2)


class CompositeProjection(nn.Module):
    """( vec(X) L_h ) R_h for each head, or vec(X) R_h without a rank; (B, T, D) -> (B, heads, T, D / heads)."""

    def __init__(self, num_tokens: int, token_dim: int, num_heads: int, rank: int | None):
        super().__init__()
        width = num_tokens * token_dim
        self.num_tokens = num_tokens
        self.num_heads = num_heads
        self.down = None if rank is None else nn.Linear(width, num_heads * rank, bias=False)  # L of all heads
        self.up = PerTokenLinear(num_heads, rank or width, width // num_heads, bias=False)  # R, each head's own

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)  # (B, TD)
        if self.down is None:
            by_head = flat.unsqueeze(1).expand(-1, self.num_heads, -1)  # (B, heads, TD)
        else:
            by_head = self.down(flat).unflatten(1, (self.num_heads, -1))  # (B, heads, rank)
        return self.up(by_head).unflatten(-1, (self.num_tokens, -1))
