"""FwFM: a factorization machine with a weight for every pair of fields."""

from collections.abc import Mapping
from typing import Any, Literal

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .needs import Needs
from .pairs import count_pairs, inner_products


class FwFM(CTRModel):
    """FwFM multiplies the inner product of two field embeddings by a learned weight of the two fields.

    Paper: Field-weighted Factorization Machines for Click-Through Rate Prediction in Display Advertising,
    WWW 2018, https://arxiv.org/abs/1806.03514.
    Authors: Junwei Pan, Jian Xu, Alfonso Lobos Ruiz, Wenliang Zhao, Shengjun Pan, Yu Sun, Quan Lu.

        y = sigmoid( w_0 + sum_i linear_i + sum_{i<j} r_ij <v_i, v_j> )
        linear_i: w_i (LW), <v_i, w_i> (FeLV) or <v_i, w_F(i)> (FiLV), with w_i a value's own and w_F(i) its field's

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, a shared sequence also shares the w_i. The vectors of FeLV always start at
    random, where FuxiCTR would load pretrained embeddings into them.

    Args:
        linear_type: the first-order part, see above.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "FwFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        regularizer: float | str | None = None,
        linear_type: Literal["LW", "FeLV", "FiLV"] = "FiLV",
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.linear_type = linear_type
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.interaction_weight = nn.Linear(count_pairs(feature_map.num_fields), 1)  # r and w_0
        if linear_type == "FiLV":
            self.linear_weight_layer = nn.Linear(feature_map.num_fields * embedding_dim, 1, bias=False)
        else:
            width = 1 if linear_type == "LW" else embedding_dim
            self.linear_weight_layer = FeatureEmbedding(feature_map, width, use_pretrain=False)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        embeddings = self.embedding_layer(features)  # (B, n, k)
        logit = self.interaction_weight(inner_products(embeddings)) + self._linear_part(features, embeddings)
        return {"y_pred": self.output_activation(logit)}

    def _linear_part(self, features: Mapping[str, Tensor], embeddings: Tensor) -> Tensor:
        if self.linear_type == "FiLV":
            return self.linear_weight_layer(embeddings.flatten(1))
        weights = self.linear_weight_layer(features)  # (B, n, 1) or (B, n, k)
        terms = weights if self.linear_type == "LW" else weights * embeddings
        return terms.flatten(1).sum(dim=1, keepdim=True)
