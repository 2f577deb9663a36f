"""LorentzFM: a factorization machine on a hyperboloid."""

from collections.abc import Mapping
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor

from .base import CTRModel
from .needs import Needs
from .pairs import count_pairs, inner_products, pair_index


class LorentzFM(CTRModel):
    """LorentzFM scores a pair by how far two points of a hyperboloid break the triangle inequality with its apex.

    Paper: Learning Feature Interactions with Lorentzian Factorization Machine, AAAI 2020,
    https://arxiv.org/abs/1911.09821.
    Authors: Canran Xu, Ming Wu.

        y = sigmoid( sum_{i<j} (1 - <u, v>_L - u_0 - v_0) / (u_0 v_0) )  with u = e_i, v = e_j
        u_0 = sqrt(1 + <u, u>),  <u, v>_L = <u, v> - u_0 v_0

    Data: two or more fields; a sequence must be pooled to one embedding. No other weights: the embeddings are all.

    Deviations: none. FuxiCTR's setting ``embedding_dropout`` does nothing there and is left out.

    Args:
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "LorentzFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        count_pairs(feature_map.num_fields)
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        embeddings = self.embedding_layer(self.get_inputs(inputs))  # (B, n, k)
        logit = triangle_scores(embeddings).sum(dim=1, keepdim=True)
        return {"y_pred": self.output_activation(logit)}


def triangle_scores(embeddings: Tensor) -> Tensor:
    """(1 - <u, v>_L - u_0 - v_0) / (u_0 v_0) of every pair: (B, n, k) -> (B, P)."""
    first, second = pair_index(embeddings.shape[1], embeddings.device)
    time = (1 + embeddings.square().sum(dim=-1)).sqrt()  # (B, n), the coordinates u_0
    u_0, v_0 = time[:, first], time[:, second]
    lorentz = inner_products(embeddings) - u_0 * v_0
    return (1 - lorentz - u_0 - v_0) / (u_0 * v_0)
