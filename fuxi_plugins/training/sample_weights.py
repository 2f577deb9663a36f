"""The weights of rows in the loss: a dataset's ``weight_col``.

A mean over the rows of a batch becomes their weighted mean, ``sum_i w_i l_i / sum_i w_i``. So a row of weight k counts
as k rows of weight 1, gradient and regulariser included, and weights that are all equal change nothing. Metrics count
every row alike.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from fuxi_plugins.datasets.dataloader import ROW_WEIGHT
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel

Loss = Callable[..., Tensor]  # of predictions and labels, as torch's functions


class WeightedRows(FuxiCTRModel):
    """Mixed in front of a FuxiCTR model class: weights what its losses average by the weights in the batch.

    A model averages by ``loss_fn``, which FuxiCTR sets; a batch without weights is averaged as ever.
    """

    _row_weights: Tensor | None = None  # (B,) of the latest forward pass

    def compile(self, optimizer: str, loss: str, lr: float) -> None:
        super().compile(optimizer, loss, lr)
        self.loss_fn = partial(self.weighted_loss, self.loss_fn)

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        weights = inputs.get(ROW_WEIGHT)
        self._row_weights = None if weights is None else weights.to(self.device)
        return super().forward({name: column for name, column in inputs.items() if name != ROW_WEIGHT})

    def weighted_loss(self, loss: Loss, predicted: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
        weights = self._row_weights
        if weights is None or reduction != "mean":
            return loss(predicted, labels, reduction=reduction)
        of_rows = loss(predicted, labels, reduction="none").reshape(len(weights), -1).mean(1)
        return (of_rows * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)


def share_of(part: dict[str, Tensor], rows: int, batch: dict[str, Tensor], all_rows: int) -> float:
    """A part's share of a batch's loss: of its weights, or of its rows where it has no weights, or none above 0."""
    total = float(batch[ROW_WEIGHT].sum()) if ROW_WEIGHT in batch else 0.0
    return float(part[ROW_WEIGHT].sum()) / total if total else rows / all_rows


def deviation(column: str) -> str:
    """For the record of such a run."""
    return f"loss: the mean over rows is weighted by {column} (metrics count every row alike)"
