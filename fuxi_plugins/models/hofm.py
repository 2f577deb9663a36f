"""HOFM: a factorization machine of sets of more than two fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs
from .pairs import symmetric_sums


class HOFM(CTRModel):
    """HOFM adds to a factorization machine the products of all sets of three fields, and so on to a given order.

    Paper: Higher-Order Factorization Machines, NIPS 2016, https://arxiv.org/abs/1607.07195.
    Authors: Mathieu Blondel, Akinori Fujino, Naonori Ueda, Masakazu Ishihata.

        y = sigmoid( w_0 + sum_i w_i x_i + sum_{t=2}^{order} sum_{i_1<...<i_t} <v^t_i1, ..., v^t_it> )

    with <a, b, ...> the sum over the width of the element-wise product.

    Data: at least as many fields as ``order``; a sequence must be pooled to one embedding.

    Deviations: none. FuxiCTR writes out all sets of fields, whose number explodes; here they are summed in
    ``order`` passes, as in the paper. Its setting ``embedding_dropout`` does nothing there and is left out.

    Args:
        order: the size of the largest sets, at least 2.
        embedding_dim: the width of the embeddings, or one width for each order from 2.
        reuse_embedding: the same embeddings for all orders.
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "HOFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        order: int = 3,
        embedding_dim: int | Sequence[int] = 10,
        reuse_embedding: bool = False,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        if not 2 <= order <= feature_map.num_fields:
            raise ValueError(f"order must be from 2 to the {feature_map.num_fields} fields, but order={order}")
        widths = [embedding_dim] * (order - 1) if isinstance(embedding_dim, int) else list(embedding_dim)
        if len(widths) != order - 1:
            raise ValueError(
                f"embedding_dim must be one width, or {order - 1} for the orders 2 to {order}, "
                f"but embedding_dim={widths}"
            )
        if reuse_embedding and not isinstance(embedding_dim, int):
            raise ValueError(f"reuse_embedding needs one width, but embedding_dim={widths}")
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.order, self.reuse_embedding = order, reuse_embedding
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        if reuse_embedding:
            self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        else:
            self.embedding_layers = nn.ModuleList(FeatureEmbedding(feature_map, width) for width in widths)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        if self.reuse_embedding:
            products = symmetric_sums(self.embedding_layer(features), self.order)[1:]  # (B, k) for each order
        else:
            products = [
                symmetric_sums(layer(features), order)[-1]  # (B, k)
                for order, layer in enumerate(self.embedding_layers, start=2)
            ]
        logit = self.lr_layer(features) + sum(product.sum(dim=1, keepdim=True) for product in products)
        return {"y_pred": self.output_activation(logit)}
