"""ETA: a long history is searched by locality-sensitive hashing, then what was found is read by attention."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, history_width, width_of_others
from .long_histories import PickedAttention, SignHash, check_attention, gather_real, recent_count
from .needs import Needs


class ETA(CTRModel):
    """ETA picks the behaviours whose hash codes are nearest to that of the target item, and attends to them.

    Paper: End-to-End User Behavior Retrieval in Click-Through Rate Prediction Model, arXiv 2021,
    https://arxiv.org/abs/2108.04468.
    Authors: Qiwei Chen, Changhua Pei, Shanshan Lv, Chao Li, Junfeng Ge, Wenwu Ou.

        code(v) = sign(R v), R fixed and random,  d_l = number of signs in which code(s_l) and code(t) differ
        y = sigmoid( MLP([e_1; ...; e_n; h_short; h_long]) )

    t is the embedding of the target item, s_l of the behaviours, e_i of all other fields and t. h_long is the target
    attention over the K behaviours of the smallest d, of equal d the latest, h_short over the latest. The hash is of
    the embeddings that are learned, so the search follows them.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled. The model is made for thousands of behaviours: where a history has few more than K, it is nearly
    target attention over all.

    Deviations: as in FuxiCTR's LongCTR, one R for all rows and steps. LongCTR can also draw a new R at every step
    (``reuse_hash``), by which a prediction is never the same again; that is not here. LongCTR masks the latest
    behaviours one place off, which hides the first of a history shorter than ``short_seq_len``; that is mended.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        hash_bits: the number of signs.
        topk: K.
        short_seq_len: how many of the latest h_short reads, the target item counted among them as in LongCTR.
        attention_dim, num_heads, attention_dropout: of both attentions.
        use_scale: whether attention scores are divided by the root of a head's width.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)
    small_settings: ClassVar = {"dnn_hidden_units": [16], "attention_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "ETA",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        hash_bits: int = 32,
        topk: int = 50,
        short_seq_len: int = 50,
        attention_dim: int = 64,
        num_heads: int = 1,
        attention_dropout: float = 0.0,
        use_scale: bool = True,
        dnn_hidden_units: Sequence[int] = (512, 128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(hash_bits=hash_bits, topk=topk)
        recent = recent_count(short_seq_len)
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        check_attention(widths, attention_dim, num_heads, attention_dropout, use_qkvo=True)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        attention = (attention_dim, num_heads, attention_dropout, use_scale)
        self.hashes = nn.ModuleList(SignHash(width, 1, hash_bits) for width in widths)
        self.short_attentions = nn.ModuleList(PickedAttention(width, recent, *attention) for width in widths)
        self.long_attentions = nn.ModuleList(PickedAttention(width, topk, *attention) for width in widths)
        input_dim = width_of_others(feature_map, histories, embedding_dim) + 2 * sum(widths)
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = [others]
        parts = (self.histories, self.hashes, self.short_attentions, self.long_attentions)
        for history, hashed, short, long in zip(*parts, strict=True):
            target, behaviours, real = gather_real(history, embedded, features)
            differ = hashed(behaviours) != hashed(target).unsqueeze(1)  # (B, L, 1, bits)
            nearness = -differ.sum(dim=(2, 3)).to(target.dtype)
            found += [short(target, behaviours, real), long(target, behaviours, real, nearness)]
        return {"y_pred": self.output_activation(self.dnn(torch.cat(found, dim=-1)))}
