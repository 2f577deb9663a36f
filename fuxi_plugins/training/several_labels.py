"""Models of several tasks, FuxiCTR's ``MultiTaskModel``: each row has several labels, all learned at once.

Such a model predicts ``{label}_pred`` for each label of its feature map. The first label is the one that a run's own
metrics and predictions are of; what steers the training is the mean of each metric over the labels, as in FuxiCTR.
"""

import numpy as np
import torch
from torch import Tensor

from fuxi_plugins.training.hosted import Scores, TrainerMixin


class SeveralLabels(TrainerMixin):
    """Mixed in front of a class of FuxiCTR's ``MultiTaskModel``, whose labels are those of its feature map."""

    def forward(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        found = super().forward(inputs)
        return {**found, "y_pred": found[f"{self.feature_map.labels[0]}_pred"]}

    def labels_of(self, batch: dict[str, Tensor]) -> Tensor:
        """(B, K), a column for each label."""
        return torch.cat(list(self.get_labels(batch)), dim=1)

    def predicted(self, number: int, batch: dict[str, Tensor]) -> Tensor:
        """Probabilities (B, K) of each label."""
        found = self.forward(batch)
        return torch.cat([found[f"{label}_pred"].reshape(-1, 1) for label in self.feature_map.labels], dim=1)

    def scored(
        self, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray | None, fields: dict[str, np.ndarray]
    ) -> Scores:
        first, *further = self.feature_map.labels
        of_each = {
            label: self.metrics_of(labels[:, place], predictions[:, place], groups, fields)
            for place, label in enumerate([first, *further])
        }
        own = np.ascontiguousarray(predictions[:, 0])
        return Scores(labels[:, 0], own, groups, of_each[first], {label: of_each[label] for label in further})
