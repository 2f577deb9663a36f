"""Averages of the weights along a training, which are evaluated and kept in place of the weights: ``weight_average``.

Training goes on from the weights themselves. Averages are taken by the functions of ``torch.optim.swa_utils``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn, get_swa_multi_avg_fn, update_bn

from fuxi_plugins.experiments.training_settings import Training
from fuxi_plugins.training.fuxictr_model import FuxiCTRModel


class Averaging(FuxiCTRModel):
    """Mixed in front of a model class that trains; a subclass says when a value is taken and how it counts."""

    _number: float  # the decay of EMA, or the first epoch of SWA
    _averages: dict[str, Tensor]  # by name; none until the first value is taken
    _averaged = 0  # values taken so far

    def average_state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"averages": self.__dict__.get("_averages", {}), "averaged": self._averaged}

    def load_average_state(self, state: dict[str, Any]) -> None:
        self._averages = {name: value.to(self.device) for name, value in state["averages"].items()}
        self._averaged = state["averaged"]

    def eval_step(self) -> None:
        """Evaluates the averages, and keeps them as the best weights where they are."""
        if not self._averaged:
            super().eval_step()
            return
        with self._averages_in_place():
            super().eval_step()

    def averaged_values(self) -> dict[str, Tensor]:
        """What is averaged, by name."""
        return dict(self.named_parameters())

    @torch.no_grad()
    def _take(self, average: Any) -> None:
        """Takes the present values into the averages, the first as they are."""
        values = self.averaged_values()
        if self._averaged:
            average(list(self._averages.values()), list(values.values()), self._averaged)
        else:
            self._averages = {name: value.detach().clone() for name, value in values.items()}
        self._averaged += 1

    @contextmanager
    def _averages_in_place(self) -> Iterator[None]:
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, value in self.averaged_values().items():
            kept = value.clone()
            value.copy_(self._averages[name])
            self._averages[name].copy_(kept)


class EMAWeights(Averaging):
    """``weight_average: ema(d)``: after each step, average <- d average + (1 - d) weights.

    BatchNorm's running means and variances are averaged like the weights.
    """

    def train_step(self, batch_data: dict[str, Tensor]) -> Any:
        loss = super().train_step(batch_data)
        self._take(get_ema_multi_avg_fn(self._number))
        return loss

    def averaged_values(self) -> dict[str, Tensor]:
        running = {name: value for name, value in self.named_buffers() if value.is_floating_point()}
        return {**super().averaged_values(), **running}


class SWAWeights(Averaging):
    """``weight_average: swa(n)``: the mean of the weights at the evaluations from epoch n on, until which the weights
    are evaluated themselves.

    Paper: Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018, Algorithm 1, with the
    experiment's learning rates. As there, BatchNorm's means and variances under the averages are measured by a pass
    over train, before each evaluation.
    """

    def fit(self, data_generator: Any, **settings: Any) -> None:
        self._train_rows = data_generator
        super().fit(data_generator, **settings)

    def eval_step(self) -> None:
        if self._epoch_index + 1 >= self._number:
            self._take(get_swa_multi_avg_fn())
        super().eval_step()

    @contextmanager
    def _averages_in_place(self) -> Iterator[None]:
        running = {name: value.clone() for name, value in self.named_buffers()}
        with super()._averages_in_place():
            self._train_rows.epoch = self._epoch_index  # one order of the rows, after an interruption too
            update_bn(self._train_rows, self)
            yield
        with torch.no_grad():
            for name, value in self.named_buffers():
                value.copy_(running[name])


KINDS: dict[str, type[Averaging]] = {"ema": EMAWeights, "swa": SWAWeights}


def mixin(training: Training) -> type[Averaging] | None:
    """What a run's training settings ask for."""
    if training.averaging is None:
        return None
    kind, number = training.averaging
    return type(KINDS[kind].__name__, (KINDS[kind],), {"_number": number})


def deviation(training: Training) -> str:
    """For the record of such a run."""
    return f"weight_average={training.weight_average}: averages of the weights are evaluated and kept, not the weights"
