"""HyFormer: queries made of all fields read the history, and are mixed with the fields, by turns."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import (
    HeadKind,
    PerTokenLinear,
    PerTokenSequential,
    RMSNorm,
    TokenizerKind,
    block_transpose,
    check_ffn,
    check_mixing,
    check_tokenizer,
    expanded,
    make_head,
    make_tokenizer,
    mlp_ffn,
    require_multiple,
    require_one_of,
    require_positive,
)

from .base import CTRModel
from .histories import (
    Fields,
    HistoryEmbedding,
    TokenProjection,
    find_histories,
    gather,
    history_width,
    padding_first,
    width_of_others,
)
from .needs import Needs
from .token_model import tokenizer_settings

Encoder = Literal["transformer", "swiglu"]
Behaviours = list[tuple[Tensor, Tensor]]  # of each history, tokens (B, L, D) and which of them are real (B, L)


class HyFormer(CTRModel):
    """HyFormer makes queries of all fields; in each block they attend to each history and are mixed with the fields.

    Paper: HyFormer: Revisiting the Roles of Sequence Modeling and Feature Interaction in CTR Prediction, arXiv 2026,
    https://arxiv.org/abs/2601.12681.
    Authors: Yunwen Huang, Shiyong Hong, Xijun Xiao, Jinqiu Jin, Xuanyuan Luo, Zhe Wang, Zheng Chai, Shikang Wu, Yuchao
    Zheng, Jingjian Lin.

        Q  = [FFN_1(G); ...; FFN_N(G)],  G = [f_1; ...; f_M; mean of the behaviours S], of each history, once
        H  = Encoder(S),  Q~ = Q + MHA( RMSNorm(Q), RMSNorm(H), RMSNorm(H) )         of each history
        X  = [Q~ of all histories; f_1; ...; f_M]                                    T tokens
        X' = X + PFFN( P RMSNorm(X) ),  PFFN_t(x) = GELU(x W1_t + b1_t) W2_t + b2_t

    P is RankMixer's block transpose, so T must divide D. The next block takes its queries from the first rows of X'. An
    encoder is a transformer block, S + MHA then S + FFN, or S + SwiGLU of every behaviour by itself; both begin with
    RMSNorm. f are as RankMixer's tokens.

    Data: a behaviour history that shares its embedding with a categorical field; other sequences must be pooled.

    Deviations: no code of the authors is published. The paper does not tell, and our reading is: the places of RMSNorm;
    the residual of the queries around the attention; FFN_i and PFFN with GELU; the next block's encoder works on this
    block's H; the fields' rows of X' replace f in the next block (``carry_fields``); the head, one linear map of the
    mean token where the paper names MLPs. The paper's encoder of the latest behaviours, which ask all others, is not
    here. Fields are cut evenly where the paper groups them by meaning, and RMSNorm of the embeddings comes before the
    tokens, as in RankMixer. A row without behaviours gets nothing from the attention.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        num_tokens: T, those of the queries of all histories among them.
        num_queries: N, of each history.
        token_dim, num_blocks, num_heads: D, the number of blocks, and heads of the attention, which must divide D.
        encoder: ``transformer`` or ``swiglu``.
        encoder_expansion: how many times wider than a token the encoder's FFN or SwiGLU is inside.
        ffn_expansion: the same of PFFN.
        carry_fields: False takes f itself in every block.
        tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: as in RankMixer.
        head: as in RankMixer.
    """

    needs = Needs(history=True)
    board_settings: ClassVar = {"num_queries": 1}
    small_settings: ClassVar = {"num_tokens": 4, "num_queries": 1, "token_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "HyFormer",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        num_tokens: int = 8,
        num_queries: int = 2,
        token_dim: int = 32,
        num_blocks: int = 2,
        num_heads: int = 4,
        encoder: Encoder = "transformer",
        encoder_expansion: float = 2.0,
        ffn_expansion: float = 2.0,
        carry_fields: bool = True,
        tokenizer: TokenizerKind = "per_token",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        head: HeadKind = "mean_pool",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        input_dim = width_of_others(feature_map, histories, embedding_dim)
        projection = tokenizer_settings(
            tokenizer, tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout, norm_unless_given=False
        )
        require_one_of("encoder", encoder, Encoder)
        require_one_of("head", head, HeadKind)
        require_positive(num_queries=num_queries, num_blocks=num_blocks, num_heads=num_heads)
        require_multiple(token_dim=token_dim, num_heads=num_heads)
        field_tokens = num_tokens - num_queries * len(histories)
        if field_tokens < 1:
            raise ValueError(
                "num_tokens must leave a token for the fields beside the queries of all histories, but "
                f"num_tokens={num_tokens}, and num_queries={num_queries} for each of {len(histories)}"
            )
        check_mixing("block_transpose", num_tokens, token_dim)
        check_tokenizer(tokenizer, input_dim, field_tokens, token_dim)
        check_ffn(token_dim, (), ffn_expansion)
        check_ffn(token_dim, (), encoder_expansion)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.carry_fields = carry_fields
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, field_tokens, token_dim, **projection)
        self.behaviour_tokens = nn.ModuleList(TokenProjection(width, token_dim) for width in widths)
        self.query_makers = nn.ModuleList(QueryMaker(field_tokens, num_queries, token_dim) for _ in histories)
        self.blocks = nn.ModuleList(
            HyFormerBlock(len(histories), num_tokens, token_dim, num_heads, encoder, encoder_expansion, ffn_expansion)
            for _ in range(num_blocks)
        )
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        fields = self.tokenizer(others)  # (B, M, D)
        behaviours: Behaviours = []
        for history, to_tokens in zip(self.histories, self.behaviour_tokens, strict=True):
            _, vectors, real = gather(history, embedded, features)
            vectors, real = padding_first(vectors, real)
            behaviours.append((to_tokens(vectors), real))
        queries = [make(fields, *s) for make, s in zip(self.query_makers, behaviours, strict=True)]
        tokens = torch.cat([*queries, fields], dim=1)  # (B, T, D)
        num_fields = fields.shape[1]
        for block in self.blocks:
            if not self.carry_fields:
                tokens = torch.cat([tokens[:, :-num_fields], fields], dim=1)
            tokens, behaviours = block(tokens, behaviours, num_fields)
        return {"y_pred": self.output_activation(self.head(tokens))}


class QueryMaker(nn.Module):
    """FFN_i([f_1; ...; f_M; mean of the behaviours]) for N queries; Linear to 2D, GELU, Linear to D."""

    def __init__(self, num_fields: int, num_queries: int, token_dim: int):
        super().__init__()
        self.num_queries = num_queries
        self.ffn = PerTokenSequential(
            PerTokenLinear(num_queries, (num_fields + 1) * token_dim, 2 * token_dim),
            nn.GELU(),
            PerTokenLinear(num_queries, 2 * token_dim, token_dim),
        )

    def forward(self, fields: Tensor, behaviours: Tensor, real: Tensor) -> Tensor:
        """(B, M, D), (B, L, D) and (B, L) -> (B, N, D)."""
        count = real.sum(dim=1, keepdim=True).clamp_min(1)
        mean = (behaviours * real.unsqueeze(-1)).sum(dim=1) / count
        everything = torch.cat([fields.flatten(1), mean], dim=1)  # G, (B, (M + 1) D)
        return self.ffn(everything.unsqueeze(1).expand(-1, self.num_queries, -1))


class HyFormerBlock(nn.Module):
    """Every history is encoded and read by its queries; then queries and fields are mixed."""

    def __init__(
        self,
        num_histories: int,
        num_tokens: int,
        token_dim: int,
        num_heads: int,
        encoder: Encoder,
        encoder_expansion: float,
        ffn_expansion: float,
    ):
        super().__init__()
        self.encoders = nn.ModuleList(
            TransformerEncoder(token_dim, num_heads, encoder_expansion)
            if encoder == "transformer"
            else SwiGLUEncoder(token_dim, encoder_expansion)
            for _ in range(num_histories)
        )
        self.decoders = nn.ModuleList(QueryDecoder(token_dim, num_heads) for _ in range(num_histories))
        self.norm = RMSNorm(token_dim)
        self.ffn = mlp_ffn(num_tokens, token_dim, [expanded(token_dim, ffn_expansion)], "gelu")

    def forward(self, tokens: Tensor, behaviours: Behaviours, num_fields: int) -> tuple[Tensor, Behaviours]:
        """(B, T, D), the queries of each history first, and the behaviours -> the same."""
        encoded = [(encode(s, real), real) for encode, (s, real) in zip(self.encoders, behaviours, strict=True)]
        queries = tokens[:, :-num_fields].chunk(len(self.decoders), dim=1)
        decoded = [decode(q, *s) for decode, q, s in zip(self.decoders, queries, encoded, strict=True)]
        x = torch.cat([*decoded, tokens[:, -num_fields:]], dim=1)
        return x + self.ffn(block_transpose(self.norm(x))), encoded


class Attention(nn.Module):
    """Multi-head attention to what is real, (B, n, D) and (B, L, D) -> (B, n, D); zero where nothing is real."""

    def __init__(self, token_dim: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.query = nn.Linear(token_dim, token_dim)
        self.key = nn.Linear(token_dim, token_dim, bias=False)  # a softmax takes no notice of what all keys share
        self.value, self.out = nn.Linear(token_dim, token_dim), nn.Linear(token_dim, token_dim)

    def forward(self, asking: Tensor, asked: Tensor, real: Tensor) -> Tensor:
        q, k, v = self.query(asking), self.key(asked), self.value(asked)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
        some = real.any(dim=1, keepdim=True)
        visible = (real | ~some)[:, None, None]  # with nothing to see all is seen, for a number that is cut below
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        return self.out(attended.transpose(1, 2).flatten(2)) * some.unsqueeze(-1)


class QueryDecoder(nn.Module):
    """Q + MHA( RMSNorm(Q), RMSNorm(H), RMSNorm(H) ), (B, N, D) and (B, L, D) -> (B, N, D)."""

    def __init__(self, token_dim: int, num_heads: int):
        super().__init__()
        self.query_norm, self.behaviour_norm = RMSNorm(token_dim), RMSNorm(token_dim)
        self.attention = Attention(token_dim, num_heads)

    def forward(self, queries: Tensor, behaviours: Tensor, real: Tensor) -> Tensor:
        return queries + self.attention(self.query_norm(queries), self.behaviour_norm(behaviours), real)


class TransformerEncoder(nn.Module):
    """Z = S + MHA( RMSNorm(S) ), H = Z + FFN( RMSNorm(Z) ) with GELU; (B, L, D) -> (B, L, D)."""

    def __init__(self, token_dim: int, num_heads: int, expansion: float):
        super().__init__()
        hidden = expanded(token_dim, expansion)
        self.attention_norm, self.ffn_norm = RMSNorm(token_dim), RMSNorm(token_dim)
        self.attention = Attention(token_dim, num_heads)
        self.ffn = nn.Sequential(nn.Linear(token_dim, hidden), nn.GELU(), nn.Linear(hidden, token_dim))

    def forward(self, behaviours: Tensor, real: Tensor) -> Tensor:
        normed = self.attention_norm(behaviours)
        z = behaviours + self.attention(normed, normed, real)
        return z + self.ffn(self.ffn_norm(z))


class SwiGLUEncoder(nn.Module):
    """S + W_down( SiLU(W_gate n) * W_up n ), n = RMSNorm(S), with biases; (B, L, D) -> (B, L, D)."""

    def __init__(self, token_dim: int, expansion: float):
        super().__init__()
        hidden = expanded(token_dim, expansion)
        self.norm = RMSNorm(token_dim)
        self.gate, self.up = nn.Linear(token_dim, hidden), nn.Linear(token_dim, hidden)
        self.down = nn.Linear(hidden, token_dim)

    def forward(self, behaviours: Tensor, real: Tensor) -> Tensor:
        normed = self.norm(behaviours)
        return behaviours + self.down(F.silu(self.gate(normed)) * self.up(normed))
