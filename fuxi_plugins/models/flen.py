"""FLEN: crosses of the user's, the item's and the context's fields as groups, and within each group."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart, mlp_block
from .needs import Needs
from .pairs import pair_sides, pooled_products
from .stages import Point, deep_layers


class FLEN(CTRModel):
    """FLEN crosses three groups of fields with each other and the fields within them, and adds an MLP.

    Paper: FLEN: Leveraging Field for Scalable CTR Prediction, arXiv 2019, https://arxiv.org/abs/1911.04690.
    Authors: Wenqiang Chen, Lizhang Zhan, Yuanlong Ci, Minghua Yang, Chen Lin, Dugang Liu.

        g_u, g_i, g_c = sums of the embeddings of the user's, the item's and the context's fields
        mf = r_1 g_u * g_i + r_2 g_u * g_c + r_3 g_i * g_c
        fm = sum over the groups m of s_m sum_{i<j in m} e_i * e_j
        f = ReLU( W [w_0 + sum_i w_i x_i; mf + fm] ),  y = sigmoid( w [f; MLP([e_1; ...; e_n])] )

    Neither W nor w has a bias.

    Data: a field of source ``user`` and one of source ``item``; every other field is the context's, which may be
    empty. All fields are of ``embedding_dim``; a sequence must be pooled to one embedding.

    Deviations: the paper's dropout of whole field vectors is left out, as in FuxiCTR, which leaves fields of other
    sources than the three out of all groups and cannot do without context.

    Args:
        dnn_hidden_units, dnn_activations: of the MLP.
        net_dropout: dropout after each activation of the MLP.
        batch_norm: BatchNorm before each activation of the MLP.
    """

    needs = Needs(fields=2, sources=("user", "item"))

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FLEN",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        dnn_hidden_units: Sequence[int] = (64, 64, 64),
        dnn_activations: str | Sequence[str] = "ReLU",
        net_dropout: float = 0.0,
        batch_norm: bool = False,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        groups = field_groups(feature_map)
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.groups = groups
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.between = nn.Linear(3, 1, bias=False)  # r
        self.within = nn.Linear(3, 1, bias=False)  # s
        self.crosses = nn.Linear(embedding_dim + 1, embedding_dim + 1, bias=False)  # W
        self.dnn = mlp_block(
            feature_map.sum_emb_out_dim(), dnn_hidden_units, None, dnn_activations, net_dropout, batch_norm
        )
        self.fc = nn.Linear(embedding_dim + 1 + dnn_hidden_units[-1], 1, bias=False)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        members = [embeddings[:, group] for group in self.groups]
        first, second = pair_sides(torch.stack([fields.sum(dim=1) for fields in members], dim=1))  # (B, 3, k) each
        mf = self.between((first * second).transpose(1, 2)).squeeze(-1)  # (B, k)
        fm = self.within(torch.stack([pooled_products(fields) for fields in members], dim=-1)).squeeze(-1)  # (B, k)
        f = self.crosses(torch.cat([self.lr_layer(features), mf + fm], dim=-1)).relu()
        logit = self.fc(torch.cat([f, self.dnn(embeddings.flatten(1))], dim=-1))
        return {"y_pred": self.output_activation(logit)}

    def stages(self) -> dict[str, Point]:
        """The hidden layers of the MLP, (B, width) each."""
        return deep_layers(self.dnn)


def field_groups(feature_map: FeatureMap) -> list[list[int]]:
    """The places of the user's, the item's and all other fields.

    Raises:
        ValueError: no field is the user's, or none the item's.
    """
    sources = {name: spec["source"] for name, spec in feature_map.features.items() if spec["type"] != "meta"}
    users = [place for place, source in enumerate(sources.values()) if source == "user"]
    items = [place for place, source in enumerate(sources.values()) if source == "item"]
    if not (users and items):
        raise ValueError(f"FLEN needs fields of source user and of source item, but the sources are {sources}")
    return [users, items, [place for place in range(len(sources)) if place not in {*users, *items}]]
