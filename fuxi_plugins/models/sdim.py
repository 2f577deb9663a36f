"""SDIM: the sum of the behaviours that fall into the target item's hash buckets stands for attention to all."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from fuxictr.features import FeatureMap
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .histories import Fields, HistoryEmbedding, find_histories, history_width, width_of_others
from .long_histories import PickedAttention, SignHash, check_attention, gather_real, recent_count
from .needs import Needs


class SDIM(CTRModel):
    """SDIM sums the behaviours that share a hash bucket with the target item, instead of attending to all of them.

    Paper: Sampling Is All You Need on Modeling Long-Term User Behaviors for CTR Prediction, CIKM 2022,
    https://arxiv.org/abs/2205.10249.
    Authors: Yue Cao, Xiaojiang Zhou, Jiaqi Feng, Peihao Huang, Yao Xiao, Dayao Chen, Sheng Chen.

        bucket_h(v) = sign(R_h v), R_h fixed and random,  b_h = sum of s_l over bucket_h(s_l) = bucket_h(t)
        h_long = mean over h of b_h,  y = sigmoid( MLP([e_1; ...; e_n; h_short; h_long]) )

    t is the embedding of the target item, s_l of the behaviours, e_i of all other fields and t. Two vectors at an
    angle a share a bucket of k signs with probability (1 - a / pi)^k, and this is the weight that h_long expects of a
    behaviour. h_short is the target attention over the latest.

    Data: a behaviour history that shares its embedding with a categorical field, in the order of time; other sequences
    must be pooled. The model is made for thousands of behaviours.

    Deviations: as in FuxiCTR's LongCTR, one set of R_h for all rows and steps, b_h is not brought to length 1 unless
    asked for, and one hash is the default. LongCTR can also draw new R_h at every step (``reuse_hash``), by which a
    prediction is never the same again; that is not here. LongCTR masks the latest behaviours one place off, which hides
    the first of a history shorter than ``short_seq_len``; that is mended.

    Args:
        target_field, sequence_field: the target items and their histories, one for one; a list within the list lays
            its fields side by side. All histories of the dataset unless given.
        num_hashes, hash_bits: the number of hashes, and of signs in each.
        l2_norm: whether b_h is divided by its length.
        short_seq_len: how many of the latest h_short reads, the target item counted among them as in LongCTR.
        attention_dim, num_heads, attention_dropout: of the attention.
        use_scale: whether attention scores are divided by the root of a head's width.
        use_qkvo: whether the attention has its four linear maps.
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(history=True)
    small_settings: ClassVar = {"dnn_hidden_units": [16], "attention_dim": 8}

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "SDIM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        target_field: Fields | None = None,
        sequence_field: Fields | None = None,
        num_hashes: int = 1,
        hash_bits: int = 4,
        l2_norm: bool = False,
        short_seq_len: int = 50,
        attention_dim: int = 64,
        num_heads: int = 1,
        attention_dropout: float = 0.0,
        use_scale: bool = True,
        use_qkvo: bool = True,
        dnn_hidden_units: Sequence[int] = (512, 128, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        require_positive(num_hashes=num_hashes, hash_bits=hash_bits)
        recent = recent_count(short_seq_len)
        histories = find_histories(feature_map, target_field, sequence_field)
        widths = [history_width(feature_map, history, embedding_dim) for history in histories]
        check_attention(widths, attention_dim, num_heads, attention_dropout, use_qkvo)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.histories = histories
        self.l2_norm = l2_norm
        self.embedding_layer = HistoryEmbedding(feature_map, embedding_dim, histories)
        attention = (attention_dim, num_heads, attention_dropout, use_scale, use_qkvo)
        self.hashes = nn.ModuleList(SignHash(width, num_hashes, hash_bits) for width in widths)
        self.short_attentions = nn.ModuleList(PickedAttention(width, recent, *attention) for width in widths)
        input_dim = width_of_others(feature_map, histories, embedding_dim) + 2 * sum(widths)
        self.dnn = mlp_block(input_dim, dnn_hidden_units, 1, dnn_activations, net_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embedded, others = self.embedding_layer(features)
        found = [others]
        for history, hashed, short in zip(self.histories, self.hashes, self.short_attentions, strict=True):
            target, behaviours, real = gather_real(history, embedded, features)
            shared = (hashed(behaviours) == hashed(target).unsqueeze(1)).all(dim=-1)  # (B, L, hashes)
            shared = shared & real.unsqueeze(-1)
            sums = torch.einsum("blh,blm->bhm", shared.to(behaviours.dtype), behaviours)
            if self.l2_norm:
                sums = F.normalize(sums, dim=-1)
            found += [short(target, behaviours, real), sums.mean(dim=1)]
        return {"y_pred": self.output_activation(self.dnn(torch.cat(found, dim=-1)))}
