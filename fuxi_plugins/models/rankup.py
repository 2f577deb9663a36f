"""RankUp: RankMixer with pre-normalised blocks, shuffled fields, several embedding tables and a global token."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import (
    HeadKind,
    PerTokenSwiGLU,
    block_transpose,
    check_ffn,
    check_tokenizer,
    make_head,
    make_tokenizer,
    require_multiple,
    require_one_of,
    require_positive,
)

from .token_model import TokenModel
from .tokenmixer_large import WithGlobalToken


class RankUp(TokenModel):
    """RankUp is RankMixer with shuffled fields, several embedding tables, a global token and pre-normalised blocks.

    Paper: RankUp: Towards High-rank Representations for Large Scale Advertising Recommender Systems, arXiv 2026,
    https://arxiv.org/abs/2604.17878.
    Authors: Jin Chen, Shangyu Zhang, Bin Hu, Chao Zhou, Junwei Pan, Gengsheng Xue, Wentao Ning, Gengyu Weng, Wang
    Zheng, Shaohua Liu, Zeen Xu, Chengyuan Mai, Shijie Quan, Tingyu Jiang, Lifeng Wang, Shudong Huang, Chengguo Yin,
    Haijie Gu, Jie Jiang.

        H  = [g; slices 1 ... T-1 of the fields in a fixed random order],  g = W [e_1; ...; e_n]
        H' = H + P LayerNorm_D(H),  H'' = H' + F( LayerNorm_D(H') )
        F_t(x) = ( SiLU(x W_gate + b) * (x W_up + b) ) W_down + b, of every token's own, r times as wide inside

    P is RankMixer's: T must divide D. Each field is looked up in K tables, whose vectors of width k/K lie side by side.

    Data: any features, all of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: this is under-specified, written from notes on the third version of the paper, of which no code and no
    result on public data is known. Ours are: that each field stands in all K tables; that g is a linear map, where the
    paper also names FM, FFM and DCNv2; T, D, K, r, the head; and RMSNorm of all embeddings before the tokenizer, as in
    RankMixer. The paper's product of pretrained user and item vectors is left out, and its tokens of several tasks.

    Args:
        num_tokens, token_dim, num_blocks: T, the global token among them, D and L.
        ffn_expansion: r.
        field_order_seed: of the random order of the fields; None leaves them in the order of the dataset.
        num_tables: K, which must divide ``embedding_dim``.
        global_token: whether g is there; without it, all tokens are slices of the fields.
        head: as in RankMixer.
    """

    small_settings: ClassVar = {"num_tokens": 4, "token_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "RankUp",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        ffn_expansion: float = 3.0,
        field_order_seed: int | None = 0,
        num_tables: int = 2,
        global_token: bool = True,
        head: HeadKind = "mean_pool",
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_one_of("head", head, HeadKind)
        require_positive(num_blocks=num_blocks, num_tables=num_tables)
        require_multiple(embedding_dim=embedding_dim, num_tables=num_tables)
        require_multiple(token_dim=token_dim, num_tokens=num_tokens)
        slices = num_tokens - global_token
        if slices < 1:
            raise ValueError("a global token needs another beside it, num_tokens of 2 or more, but num_tokens=1")
        input_dim = feature_map.num_fields * embedding_dim
        check_tokenizer("per_token", input_dim, slices, token_dim)
        check_ffn(token_dim, (), ffn_expansion)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = ShuffledEmbedding(feature_map, embedding_dim, num_tables, field_order_seed)
        self.tokenizer = make_tokenizer("per_token", input_dim, slices, token_dim)
        if global_token:
            self.tokenizer = WithGlobalToken(self.tokenizer, input_dim, token_dim)
        self.blocks = nn.Sequential(*(PreNormBlock(num_tokens, token_dim, ffn_expansion) for _ in range(num_blocks)))
        self.head = make_head(head, num_tokens, token_dim)
        self.finish_init(learning_rate, **kwargs)


class ShuffledEmbedding(nn.Module):
    """The fields of a row in a fixed random order, each from K tables, features -> (B, nk).

    Args:
        feature_map: FuxiCTR's.
        embedding_dim, num_tables: k and K.
        seed: of the order, which is kept with the weights; None for the order of the dataset.
    """

    order: Tensor

    def __init__(self, feature_map: FeatureMap, embedding_dim: int, num_tables: int, seed: int | None):
        super().__init__()
        self.tables = nn.ModuleList(
            FeatureEmbedding(feature_map, embedding_dim // num_tables) for _ in range(num_tables)
        )
        order = torch.arange(feature_map.num_fields)
        if seed is not None:
            order = torch.randperm(feature_map.num_fields, generator=torch.Generator().manual_seed(seed))
        self.register_buffer("order", order)

    def forward(self, features: Mapping[str, Tensor], flatten_emb: bool = True) -> Tensor:
        fields = torch.cat([table(features) for table in self.tables], dim=-1)[:, self.order]  # (B, n, k)
        return fields.flatten(1) if flatten_emb else fields


class PreNormBlock(nn.Module):
    """A block of RankUp, (B, T, D) -> (B, T, D)."""

    def __init__(self, num_tokens: int, token_dim: int, expansion: float):
        super().__init__()
        self.input_norm = nn.LayerNorm(token_dim)
        self.mixing_norm = nn.LayerNorm(token_dim)
        self.ffn = PerTokenSwiGLU(num_tokens, token_dim, expansion, down_gain=1.0)

    def forward(self, x: Tensor) -> Tensor:
        x = x + block_transpose(self.input_norm(x))
        return x + self.ffn(self.mixing_norm(x))
