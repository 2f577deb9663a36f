"""What stands in front of a FuxiCTR model class while it trains: it records what happens and keeps checkpoints."""

import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fuxi_plugins.core.files import replacing
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.models.fuxictr_layers import project_vectors
from fuxi_plugins.models.meta import count_parameters
from fuxi_plugins.records.metrics import evaluate_metrics, find_metric
from fuxi_plugins.records.parts import Epoch, Metrics, Parameters
from fuxi_plugins.training.checkpoint import Checkpointer
from fuxi_plugins.training.devices import synchronize
from fuxi_plugins.training.divergence import is_time_to_look, may_be_nan
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel

Report = Callable[[dict[str, Any]], None]
Callback = Callable[[Any, int], None]  # told of the model and the epoch after each evaluation; changes neither


class TrainingFailed(Exception):
    """The model could not be trained: the loss left the finite numbers, or nothing was ever learned."""


@dataclass(frozen=True)
class Scores:
    """Predictions of a split, in the order of its rows."""

    labels: np.ndarray  # (N,)
    predictions: np.ndarray  # (N,) float32
    groups: np.ndarray | None  # (N,) where the dataset has them
    metrics: Metrics
    further: dict[str, Metrics] = field(default_factory=dict)  # of each further label, where several are learned

    @property
    def steering(self) -> Metrics:
        """What checkpoints, the learning rate and the end of a training depend on: the mean over the labels."""
        every = [self.metrics, *self.further.values()]
        return {name: sum(metrics[name] for metrics in every) / len(every) for name in self.metrics}


@dataclass(frozen=True)
class LossOnDevice:
    """A step's loss for FuxiCTR's ``fit``, which adds up what ``item()`` gives.

    It gives the tensor, so that the sum stays on the device too and no step waits for the one before it.
    """

    loss: torch.Tensor

    def item(self) -> torch.Tensor:
        return self.loss


class TrainerMixin(FuxiCTRModel):
    """Mixed in front of a FuxiCTR model class at run time: records what happens, changes nothing that is learned."""

    report: Report
    callbacks: Sequence[Callback]
    checkpointer: Checkpointer
    history: list[Epoch]
    parts: int  # in which each batch is computed
    best_epoch: int  # the one whose weights are in the checkpoint

    def watch(self, report: Report, callbacks: Sequence[Callback], checkpointer: Checkpointer) -> None:
        self.report, self.callbacks, self.checkpointer, self.history = report, callbacks, checkpointer, []
        self._loss_sum: torch.Tensor | float = 0.0
        self._loss_steps = 0
        self._training_since = time.perf_counter()

    def compile(self, optimizer: str, loss: str, lr: float) -> None:
        project_vectors(self)  # of FuxiCTR's models; native ones have done it
        super().compile(optimizer, loss, lr)
        several = isinstance(self.loss_fn, list)  # of a model of several tasks, one each
        self.loss_fn = [may_be_nan(each) for each in self.loss_fn] if several else may_be_nan(self.loss_fn)

    def train_epoch(self, data_generator: ColumnLoader) -> None:
        self.checkpointer.train_epoch(self, data_generator, super().train_epoch)

    def save_weights(self, checkpoint: str | Path) -> None:
        with replacing(Path(checkpoint)) as temporary:
            super().save_weights(temporary)

    def delete_weights(self) -> None:
        """Those that an earlier process has saved."""
        Path(self.checkpoint).unlink(missing_ok=True)

    def counted_parameters(self) -> Parameters:
        """Of the whole model."""
        return count_parameters(self)

    def load_weights(self, checkpoint: str) -> None:
        self.load_state_dict(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def train_step(self, batch_data: dict[str, torch.Tensor]) -> LossOnDevice:
        loss = super().train_step(batch_data)
        self._loss_sum = self._loss_sum + loss.detach()  # stays on the device; read once an evaluation
        self._loss_steps += 1
        if is_time_to_look(self._loss_steps, self.device):
            self._mean_loss()
        step = self._total_steps - self._epoch_index * self._steps_per_epoch
        self.report({"epoch": self._epoch_index + 1, "step": step, "steps": self._steps_per_epoch})
        return LossOnDevice(loss.detach())

    def eval_step(self) -> None:
        synchronize(self.device)  # steps that are still queued are training
        trained = time.perf_counter() - self._training_since
        train_loss = self._mean_loss()
        rate = self.optimizer.param_groups[0]["lr"]
        started = time.perf_counter()
        super().eval_step()
        if self._stopping_steps == 0:  # FuxiCTR has just saved a checkpoint
            self.best_epoch = self._epoch_index + 1
        self.history.append(
            Epoch(
                epoch=self._epoch_index + 1,
                step=self._total_steps,
                train_loss=train_loss,
                learning_rate=rate,
                valid=self._latest_metrics,
                seconds=trained,
                evaluation_seconds=time.perf_counter() - started,
            )
        )
        self.report({"valid": self._latest_metrics})
        for callback in self.callbacks:
            callback(self, self._epoch_index + 1)
        self._loss_sum, self._loss_steps = 0.0, 0
        self._training_since = time.perf_counter()

    def _mean_loss(self) -> float:
        """Of the steps since the last evaluation.

        Raises:
            TrainingFailed: it is not finite.
        """
        loss = float(self._loss_sum) / self._loss_steps
        if not math.isfinite(loss):
            raise TrainingFailed(
                f"the training loss became {loss} in epoch {self._epoch_index + 1}; a lower learning rate may help"
            )
        return loss

    def evaluate(self, data_generator: ColumnLoader, metrics: list[str] | None = None) -> Metrics:
        """Every metric of the experiment, whichever of them is monitored."""
        self._latest_metrics = self.score(data_generator).steering
        logging.info("[Metrics] " + " - ".join(f"{name}: {value:.6f}" for name, value in self._latest_metrics.items()))
        return self._latest_metrics

    @torch.no_grad()
    def score(self, batches: ColumnLoader) -> Scores:
        """Predicts a split."""
        self.eval()
        labels: list[torch.Tensor] = []
        predictions: list[torch.Tensor] = []
        groups: list[torch.Tensor] = []
        fields: dict[str, list[torch.Tensor]] = {
            field: [] for name in self.validation_metrics if (field := find_metric(name).field)
        }
        for number, batch in enumerate(batches):
            predictions.append(self.predicted(number, batch))
            labels.append(self.labels_of(batch))
            if self.feature_map.group_id is not None:
                groups.append(self.get_group_id(batch).reshape(-1))
            for name, columns in fields.items():
                columns.append(batch[name].reshape(-1))
        y_true = torch.cat(labels).cpu().numpy()
        y_pred = self.gathered(torch.cat(predictions)).float().cpu().numpy()
        group_ids = torch.cat(groups).cpu().numpy() if groups else None
        if not np.isfinite(y_pred).all():
            raise TrainingFailed(
                f"{np.count_nonzero(~np.isfinite(y_pred))} of {len(y_pred)} predictions are not finite"
            )
        ids = {name: torch.cat(columns).cpu().numpy() for name, columns in fields.items()}
        return self.scored(y_true, y_pred, group_ids, ids)

    def scored(
        self, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray | None, fields: dict[str, np.ndarray]
    ) -> Scores:
        return Scores(labels, predictions, groups, self.metrics_of(labels, predictions, groups, fields))

    def metrics_of(
        self, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray | None, fields: dict[str, np.ndarray]
    ) -> Metrics:
        """The experiment's metrics of predictions (N,), each a number."""
        metrics = evaluate_metrics(labels, predictions, self.validation_metrics, groups, fields)
        require_values(metrics, len(labels))
        return metrics

    def labels_of(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The labels (B,) of a batch."""
        return self.get_labels(batch).reshape(-1)

    def predicted(self, number: int, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Probabilities (B,) of the batch of this number."""
        return self.forward(batch)["y_pred"].reshape(-1)

    def gathered(self, predictions: torch.Tensor) -> torch.Tensor:
        """The predictions of a whole split (N,) from those that this process has made of it."""
        return predictions


def require_values(metrics: Metrics, rows: int) -> None:
    """
    Raises:
        TrainingFailed: a metric has no value.
    """
    for name, value in metrics.items():
        if math.isnan(value):
            raise TrainingFailed(
                f"{name} has no value on {rows} rows (a metric within groups needs a group with rows of both classes); "
                "choose metrics without it"
            )
