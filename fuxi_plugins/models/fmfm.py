"""FmFM: a factorization machine with a matrix for every pair of fields."""

from collections.abc import Mapping
from typing import Any, Literal

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs
from .pairs import count_pairs, pair_sides


class FmFM(CTRModel):
    """FmFM maps the first embedding of a pair by the pair's own matrix before the inner product.

    Paper: FM²: Field-matrixed Factorization Machines for Recommender Systems, WWW 2021,
    https://arxiv.org/abs/2102.12994.
    Authors: Yang Sun, Junwei Pan, Alex Zhang, Aaron Flores.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{i<j} <v_i M_ij, v_j> )

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: one width for all fields; the paper's widths of single fields are not there. As in FuxiCTR,
    the matrices start from Xavier's distribution for all of them as one tensor, not for each alone.

    Args:
        field_interaction_type: ``matrixed`` the model above, ``vectorized`` with a diagonal M_ij.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FmFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        regularizer: float | str | None = None,
        field_interaction_type: Literal["vectorized", "matrixed"] = "matrixed",
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.matrixed = field_interaction_type == "matrixed"
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        shape = (embedding_dim, embedding_dim) if self.matrixed else (embedding_dim,)
        self.interaction_weight = nn.Parameter(torch.empty(count_pairs(feature_map.num_fields), *shape))
        nn.init.xavier_normal_(self.interaction_weight)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        left, right = pair_sides(self.embedding_layer(features))  # (B, P, k) each
        if self.matrixed:
            left = torch.einsum("bpk,pkl->bpl", left, self.interaction_weight)
        else:
            left = left * self.interaction_weight
        logit = self.lr_layer(features) + (left * right).flatten(1).sum(dim=1, keepdim=True)
        return {"y_pred": self.output_activation(logit)}
