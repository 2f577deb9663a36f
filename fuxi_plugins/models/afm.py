"""AFM: a factorization machine that attends to its pairs."""

from collections.abc import Mapping, Sequence
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbedding
from torch import Tensor, nn

from fuxi_plugins.layers import require_positive

from .base import CTRModel
from .fuxictr_layers import LinearPart
from .needs import Needs
from .pairs import count_pairs, pair_sides


class AFM(CTRModel):
    """AFM takes the element-wise products of all pairs of fields, weighs them by attention, sums and projects.

    Paper: Attentional Factorization Machines: Learning the Weight of Feature Interactions via Attention Networks,
    IJCAI 2017, https://arxiv.org/abs/1708.04617.
    Authors: Jun Xiao, Hao Ye, Xiangnan He, Hanwang Zhang, Fei Wu, Tat-Seng Chua.

        y = sigmoid( w_0 + sum_i w_i x_i + p^T sum_{i<j} a_ij (v_i * v_j) )
        a = softmax over the pairs of h^T ReLU( W (v_i * v_j) + b )

    Data: two or more fields; a sequence must be pooled to one embedding.

    Deviations: as in FuxiCTR, dropout is applied to the attention weights and to the weighted sum, in the paper to the
    products. Without attention, FuxiCTR keeps the attention's parameters unused; here there are none.

    Args:
        attention_dim: width of the attention's hidden layer.
        attention_dropout: two rates, of the attention weights and of the weighted sum.
        use_attention: without it the model is a plain factorization machine, p and a all ones.
    """

    needs = Needs(fields=2)

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "AFM",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        embedding_dim: int = 10,
        attention_dropout: Sequence[float] = (0.0, 0.0),
        attention_dim: int = 10,
        use_attention: bool = True,
        embedding_regularizer: float | str | None = None,
        net_regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        count_pairs(feature_map.num_fields)
        require_positive(attention_dim=attention_dim)
        if len(attention_dropout) != 2:
            raise ValueError(
                "attention_dropout must be two rates, of the weights and of their sum, "
                f"but attention_dropout={list(attention_dropout)}"
            )
        super().__init__(feature_map, model_id, gpu, embedding_regularizer, net_regularizer, **kwargs)
        self.embedding_layer = FeatureEmbedding(feature_map, embedding_dim)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.attention = None
        if use_attention:
            self.attention = nn.Sequential(
                LinearOfShortVectors(embedding_dim, attention_dim),
                nn.ReLU(),
                nn.Linear(attention_dim, 1, bias=False),
                nn.Softmax(dim=1),
            )
            self.weight_p = nn.Linear(embedding_dim, 1, bias=False)
            self.weights_dropout, self.sum_dropout = (nn.Dropout(rate) for rate in attention_dropout)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        features = self.get_inputs(inputs)
        left, right = pair_sides(self.embedding_layer(features))
        logit = self.lr_layer(features) + self._second_order(left * right)
        return {"y_pred": self.output_activation(logit)}

    def _second_order(self, products: Tensor) -> Tensor:
        """(B, P, k) -> (B, 1)."""
        if self.attention is None:
            return products.flatten(1).sum(dim=1, keepdim=True)
        weights = self.weights_dropout(self.attention(products))  # (B, P, 1)
        return self.weight_p(self.sum_dropout((weights * products).sum(dim=1)))


class LinearOfShortVectors(nn.Linear):
    """``nn.Linear`` for many short vectors, (..., k) -> (..., d): the same values, gradients sooner on a CPU.

    torch takes the gradient of a transposed weight as g^T x and that of any other as x^T g; where k is far below d,
    MKL is much slower with the first.
    """

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.t().contiguous() + self.bias
