"""LR: logistic regression."""

from collections.abc import Mapping
from typing import Any

from fuxictr.features import FeatureMap
from fuxictr.pytorch.models import BaseModel
from torch import Tensor

from .citation import Paper
from .fuxictr_layers import LinearPart


class LR(BaseModel):
    """LR is logistic regression: one learned weight for every feature value, summed.

    Paper: Predicting Clicks: Estimating the Click-Through Rate for New Ads, WWW 2007,
    https://doi.org/10.1145/1242572.1242643.

        y = sigmoid( w_0 + sum_i w_i x_i )

    Data: any features; the weights of a sequence are summed.

    Deviations: none. FuxiCTR itself starts the first-order weights of a shared sequence at random; see ``LinearPart``.

    Args:
        regularizer: of all parameters; a number is L2, else ``l1(x)``, ``l2(x)`` or ``l1_l2(x,y)``.
    """

    paper = Paper(
        title="Predicting Clicks: Estimating the Click-Through Rate for New Ads",
        venue="WWW",
        year=2007,
        url="https://doi.org/10.1145/1242572.1242643",
    )

    def __init__(
        self,
        feature_map: FeatureMap,
        model_id: str = "LR",
        gpu: int = -1,
        learning_rate: float = 1e-3,
        regularizer: float | str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            feature_map,
            model_id=model_id,
            gpu=gpu,
            embedding_regularizer=regularizer,
            net_regularizer=regularizer,
            **kwargs,
        )
        self.lr_layer = LinearPart(feature_map, use_bias=True)
        self.compile(kwargs["optimizer"], kwargs["loss"], learning_rate)
        self.reset_parameters()
        self.model_to_device()

    def forward(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        logit = self.lr_layer(self.get_inputs(inputs))
        return {"y_pred": self.output_activation(logit)}
