"""LR: logistic regression."""

from collections.abc import Mapping
from typing import Any

from fuxictr.features import FeatureMap
from torch import Tensor

from .base import CTRModel
from .fuxictr_layers import LinearPart


class LR(CTRModel):
    """LR is logistic regression: one learned weight for every feature value, summed.

    Paper: Predicting Clicks: Estimating the Click-Through Rate for New Ads, WWW 2007,
    https://doi.org/10.1145/1242572.1242643.
    Authors: Matthew Richardson, Ewa Dominowska, Robert Ragno.

        y = sigmoid( w_0 + sum_i w_i x_i )

    Data: any features; the weights of a sequence are summed.

    Deviations: none. FuxiCTR itself starts the first-order weights of a shared sequence at random; see ``LinearPart``.

    Args:
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "LR",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(feature_map, model_id, gpu, regularizer, regularizer, **kwargs)
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.finish_init(learning_rate, **kwargs)

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logit = self.lr_layer(self.get_inputs(inputs))
        return {"y_pred": self.output_activation(logit)}
