"""OneTrans: one causal transformer over the behaviours of a history and, behind them, tokens of all other fields."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import (
    PerTokenLinear,
    RMSNorm,
    TokenizerKind,
    check_ffn,
    check_tokenizer,
    expanded,
    make_tokenizer,
    require_multiple,
    require_positive,
)
from fuxi_plugins.layers.checks import require_widths

from .base import CTRModel
from .fuxictr_layers import mlp_block
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
from .token_model import given, tokenizer_settings


class OneTrans(CTRModel):
    """OneTrans lets one causal transformer read the behaviours and then the fields, each field token by its own maps.

    Paper: OneTrans: Unified Feature Interaction and Sequence Modeling with One Transformer in Industrial Recommender,
    WWW 2026, https://arxiv.org/abs/2510.26104.
    Authors: Zhaoqi Zhang, Haolei Pei, Jun Guo, Tianyu Wang, Yufei Feng, Hui Sun, Shaowei Liu, Aixin Sun.

        X  = [s_1; ...; s_L; f_1; ...; f_T], s the S tokens of the behaviours, f the NS tokens of all other fields
        Z  = X + MHA( RMSNorm(X) ),  X' = Z + FFN( RMSNorm(Z) ),  FFN(z) = W2 GELU(W1 z + b1) + b2
        y  = sigmoid( MLP([f_1'; ...; f_T']) )

    All S tokens share their maps, those of queries, keys, values and outputs too; each NS token has its own. A token
    sees itself and what stands before it: an S token no field, an NS token all behaviours. The NS tokens are one linear
    map of all embeddings, cut in T. The pyramid: only the last n_l tokens of block l ask and go on, where n_l falls
    linearly from all in the first block to the NS tokens in the last.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled.

    Deviations: no code of the authors is published. The paper does not tell, and our reading is: GELU; the map of the
    attention's output, of every NS token's own too; biases; RMSNorm after the last block and the MLP that reads the NS
    tokens; one linear map for the behaviours of a history. Several histories are laid one after the other in the
    order of the dataset, with a learned token between two of them; the paper's merging by time needs the time of each
    behaviour. The queries of a block are not rounded to a multiple of 32. In the last block only the NS tokens ask,
    with or without the pyramid, and maps of S tokens that nothing would read are not made. RMSNorm of the embeddings
    comes before the tokens, as in RankMixer. Keys and values are not cached between requests.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        num_tokens: T, of the NS tokens.
        token_dim, num_blocks, num_heads: width, depth, and heads of the attention; heads must divide the width.
        ffn_expansion: how many times wider than a token the FFN is inside.
        pyramid: whether blocks before the last drop tokens.
        sequence_hidden_units: hidden layers before the behaviours' linear map.
        tokenizer: of the NS tokens: ``joint`` as above; ``per_token`` and the others as in RankMixer.
        tokenizer_hidden_units, tokenizer_norm, tokenizer_dropout: of ``joint`` and ``shared``; none, no norm, and 0
            unless given.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)
    small_settings: ClassVar = {"num_tokens": 3, "token_dim": 8, "dnn_hidden_units": [16]}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "OneTrans",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        num_tokens: int = 8,
        token_dim: int = 32,
        num_blocks: int = 2,
        num_heads: int = 4,
        ffn_expansion: float = 4.0,
        pyramid: bool = True,
        sequence_hidden_units: Sequence[int] = (),
        tokenizer: TokenizerKind = "joint",
        tokenizer_hidden_units: Sequence[int] | None = None,
        tokenizer_norm: bool | None = None,
        tokenizer_dropout: float | None = None,
        dnn_hidden_units: Sequence[int] = (128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
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
        if projection:
            projection["hidden_units"] = given(tokenizer_hidden_units, ())
        require_positive(num_blocks=num_blocks, num_heads=num_heads)
        require_multiple(token_dim=token_dim, num_heads=num_heads)
        check_tokenizer(tokenizer, input_dim, num_tokens, token_dim)
        require_widths("sequence_hidden_units", sequence_hidden_units)
        check_ffn(token_dim, (), ffn_expansion)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.pyramid = pyramid
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        self.tokenizer = make_tokenizer(tokenizer, input_dim, num_tokens, token_dim, **projection)
        self.behaviour_tokens = nn.ModuleList(
            TokenProjection(width, token_dim, sequence_hidden_units) for width in widths
        )
        self.separators = nn.ParameterList(torch.randn(token_dim) for _ in histories[1:])
        self.blocks = nn.ModuleList(
            OneTransBlock(num_tokens, token_dim, num_heads, ffn_expansion, last=depth == num_blocks)
            for depth in range(1, num_blocks + 1)
        )
        self.norm = RMSNorm(token_dim)
        self.dnn = mlp_block(num_tokens * token_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        field_tokens = self.tokenizer(others)  # (B, T, D)
        sequence_tokens, real = self.read_histories(embedded, features)
        tokens = torch.cat([sequence_tokens, field_tokens], dim=1)  # (B, N_S + T, D)
        real = torch.cat([real, real.new_ones(field_tokens.shape[:2])], dim=1)
        queries = pyramid_queries(len(self.blocks), sequence_tokens.shape[1], field_tokens.shape[1], self.pyramid)
        for block, num_queries in zip(self.blocks, queries, strict=True):
            tokens, real = block(tokens, real, num_queries), real[:, -num_queries:]
        return {"y_pred": self.output_activation(self.dnn(self.norm(tokens).flatten(1)))}

    def read_histories(self, embedded: Mapping[str, Tensor], features: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The S tokens (B, N_S, D), each history with its padding in front, and which of them are real (B, N_S)."""
        tokens, real = [], []
        parts = zip_longest(self.histories, self.behaviour_tokens, self.separators)
        for history, to_tokens, separator in parts:
            _, behaviours, are_real = gather(history, embedded, features)
            behaviours, are_real = padding_first(behaviours, are_real)
            tokens.append(to_tokens(behaviours))
            real.append(are_real)
            if separator is not None:
                tokens.append(separator.expand(len(behaviours), 1, -1))
                real.append(are_real.new_ones(len(behaviours), 1))
        return torch.cat(tokens, dim=1), torch.cat(real, dim=1)


def pyramid_queries(num_blocks: int, num_sequence: int, num_fields: int, pyramid: bool) -> list[int]:
    """n_l of each block: how many of the last tokens ask and go on.

    >>> pyramid_queries(4, 90, 8, pyramid=True), pyramid_queries(3, 90, 8, pyramid=False)
    ([98, 68, 38, 8], [98, 98, 8])
    """
    before = range(num_blocks - 1, 0, -1)  # blocks from here to the last
    kept = [num_sequence * left // (num_blocks - 1) if pyramid else num_sequence for left in before]
    return [num_fields + count for count in (*kept, 0)]


class OneTransBlock(nn.Module):
    """Causal attention and an FFN, both with one set of maps for S tokens and one for each NS token.

    Args:
        num_own: T, the tokens at the end that have maps of their own.
        token_dim, num_heads, ffn_expansion: as in :class:`OneTrans`.
        last: whether only those T tokens will ask.
    """

    def __init__(self, num_own: int, token_dim: int, num_heads: int, ffn_expansion: float, last: bool = False):
        super().__init__()
        hidden = expanded(token_dim, ffn_expansion)
        self.num_heads = num_heads
        self.attention_norm = RMSNorm(token_dim)
        self.query = MixedLinear(num_own, token_dim, token_dim, shared=not last)
        self.key = MixedLinear(num_own, token_dim, token_dim)
        self.value = MixedLinear(num_own, token_dim, token_dim)
        self.out = MixedLinear(num_own, token_dim, token_dim, shared=not last)
        self.ffn_norm = RMSNorm(token_dim)
        self.ffn = nn.Sequential(
            MixedLinear(num_own, token_dim, hidden, shared=not last),
            nn.GELU(),
            MixedLinear(num_own, hidden, token_dim, shared=not last),
        )

    def forward(self, x: Tensor, real: Tensor, num_queries: int) -> Tensor:
        """Tokens (B, n, D) and which of them are real (B, n) -> the last ``num_queries`` of them, (B, n_l, D)."""
        normed = self.attention_norm(x)
        q, k, v = self.query(normed[:, -num_queries:]), self.key(normed), self.value(normed)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in (q, k, v))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=causal_mask(real, num_queries).unsqueeze(1))
        z = x[:, -num_queries:] + self.out(attended.transpose(1, 2).flatten(2))
        return z + self.ffn(self.ffn_norm(z))


class MixedLinear(nn.Module):
    """One linear map for all tokens but the last T, and an own one for each of these; (B, n, in) -> (B, n, out).

    ``shared=False`` leaves out the first, for inputs that are those T tokens alone.
    """

    def __init__(self, num_own: int, in_features: int, out_features: int, shared: bool = True):
        super().__init__()
        self.num_own = num_own
        self.shared = nn.Linear(in_features, out_features) if shared else None
        self.own = PerTokenLinear(num_own, in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        if self.shared is None:
            return self.own(x)
        before = x.shape[1] - self.num_own
        return torch.cat([self.shared(x[:, :before]), self.own(x[:, before:])], dim=1)


def causal_mask(real: Tensor, num_queries: int) -> Tensor:
    """Which of n places each of the last places sees: real ones up to its own, and always itself.

    (B, n) -> (B, num_queries, n). A place of padding sees itself, so that attention there is a number.

    >>> causal_mask(torch.tensor([[False, True, True]]), num_queries=2).int()
    tensor([[[0, 1, 0],
             [0, 1, 1]]], dtype=torch.int32)
    """
    places = torch.arange(real.shape[1], device=real.device)
    asking = places[-num_queries:].unsqueeze(1)
    return (real.unsqueeze(1) & (places <= asking)) | (places == asking)
