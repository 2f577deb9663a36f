"""DSSM: two towers, one of the item's fields and one of all others, that meet in an inner product."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import mlp_block
from .needs import Needs


class DSSM(CTRModel):
    """DSSM maps the item's fields by one MLP, all others by another, and takes the inner product of the two.

    Paper: Learning Deep Structured Semantic Models for Web Search using Clickthrough Data, CIKM 2013,
    https://doi.org/10.1145/2505515.2505665.
    Authors: Po-Sen Huang, Xiaodong He, Jianfeng Gao, Li Deng, Alex Acero, Larry Heck.

        y = sigmoid( < MLP_user([e_i for all other fields]), MLP_item([e_i for all fields of the item]) > )

    No field of the item meets one of the user before that product, so that items can be looked up in an index of their
    vectors; what the model scores below those that cross all fields is the price of it.

    Data: some fields of source ``item`` and some that are not; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, the inner product stands in place of the cosine, the loss is of single clicks and not of
    a softmax over sampled documents, fields take the place of letter trigrams, and the output layers are linear, where
    the paper's end in tanh. Fields that are neither's go with the user, where FuxiCTR leaves them out.

    Args:
        user_tower_units, item_tower_units: widths of the layers, the output last, which must be as wide in both.
        user_tower_activations, item_tower_activations: one name for all layers but the last, or one for each of them.
        user_tower_dropout, item_tower_dropout: dropout after each activation.
        batch_norm: BatchNorm before each activation.
    """

    needs = Needs(fields=2, sources=("item",))

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "DSSM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        user_tower_units: Sequence[int] = (64, 64, 64),
        item_tower_units: Sequence[int] = (64, 64, 64),
        user_tower_activations: str | Sequence[str] = "ReLU",
        item_tower_activations: str | Sequence[str] = "ReLU",
        user_tower_dropout: float = 0.0,
        item_tower_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        sources = {name: spec["source"] for name, spec in feature_map.features.items() if spec["type"] != "meta"}
        item_fields = [name for name, source in sources.items() if source == "item"]
        user_fields = [name for name, source in sources.items() if source != "item"]
        if not (item_fields and user_fields):
            raise ValueError(f"DSSM needs fields of source item and others, but of {[*sources]} {item_fields} are")
        if user_tower_units[-1] != item_tower_units[-1]:
            raise ValueError(
                "the towers must end in vectors of one width, but user_tower_units end in "
                f"{user_tower_units[-1]} and item_tower_units in {item_tower_units[-1]}"
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.user_fields, self.item_fields = user_fields, item_fields
        self.embedding_layer = FeatureEmbeddingDict(feature_map, embedding_dim)
        item_width = feature_map.sum_emb_out_dim("item")
        user_width = feature_map.sum_emb_out_dim() - item_width
        *hidden, output = user_tower_units
        self.user_tower = mlp_block(user_width, hidden, output, user_tower_activations, user_tower_dropout, batch_norm)
        *hidden, output = item_tower_units
        self.item_tower = mlp_block(item_width, hidden, output, item_tower_activations, item_tower_dropout, batch_norm)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embedded = self.embedding_layer(self.get_inputs(inputs))  # (B, k) by field
        user = self.user_tower(torch.cat([embedded[name] for name in self.user_fields], dim=-1))
        item = self.item_tower(torch.cat([embedded[name] for name in self.item_fields], dim=-1))
        return {"y_pred": self.output_activation((user * item).sum(dim=-1, keepdim=True))}
