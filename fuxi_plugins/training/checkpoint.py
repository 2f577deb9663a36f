"""Checkpoints from which a run goes on as if it had never been interrupted.

FuxiCTR's ``fit`` sets its counters to zero and calls ``train_epoch`` once an epoch. A :class:`Checkpointer` stands at
that call: at the first it puts everything back as it was, epochs that are done it passes over, and in the one that was
interrupted it passes over the batches that are done. ``fit`` itself stays FuxiCTR's.

A checkpoint holds whatever the rest of the run is a function of: weights, their averages, optimizer, learning rate,
counters of early stopping, every random state, the place in the data, and the best weights so far. It is loaded with
``weights_only=True``: tensors and plain values, never code.
"""

import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fuxi_plugins.core.files import replacing
from fuxi_plugins.records.parts import Epoch
from fuxi_plugins.training.devices import synchronize

STATE_FILE = "state.pt"
COST = 0.05  # of the time, at most, goes into checkpoints at the ends of short epochs

# FuxiCTR's counters, and the sums of the loss that TrainerMixin keeps.
_COUNTERS = ("_total_steps", "_best_metric", "_stopping_steps", "_stop_training", "_loss_sum", "_loss_steps")


class Checkpointer:
    """Writes the checkpoints of one run and finds the one to continue from.

    Args:
        folder: of the checkpoints; None keeps none.
        identity: what a checkpoint must agree in to be continued: configuration, data, seed, code.
        steps: training steps between two checkpoints within an epoch; None writes at the ends of epochs only.
    """

    def __init__(self, folder: Path | None, identity: dict[str, Any], steps: int | None = None):
        self.folder, self.identity, self.steps = folder, identity, steps
        self.seconds_before = 0.0  # that earlier processes have spent on this run
        self._since = time.perf_counter()
        self._last_end, self._last_cost = self._since, 0.0
        self._state = self._load()
        self._epochs_done = self._state["epoch"] if self._state else 0
        self._batches_done = self._state["batch"] if self._state else 0

    def train_epoch(self, model: Any, batches: Any, train: Callable[[Any], None]) -> None:
        """Carries out what is left of the epoch that ``fit`` has come to."""
        if self._state and self.folder is not None:
            self._restore(model, self._state, self.folder)
            self._state = None
        epoch = model._epoch_index
        if epoch < self._epochs_done or model._stop_training:
            return
        done = self._batches_done if epoch == self._epochs_done else 0
        batches.epoch = epoch  # decides the order of the rows
        train(_Rest(batches, done, lambda batch: self._between_steps(model, epoch, batch)))
        self._after_epoch(model, epoch)

    def delete(self) -> None:
        """Removes the checkpoints of a run that is finished."""
        if self.folder is not None:
            for path in [self.folder / STATE_FILE, *self.folder.glob("best-*.model")]:
                path.unlink(missing_ok=True)

    def _between_steps(self, model: Any, epoch: int, batch: int) -> None:
        if self.steps and batch % self.steps == 0:
            self._save(model, epoch, batch)

    def _after_epoch(self, model: Any, epoch: int) -> None:
        if self.steps or self._is_affordable():
            self._save(model, epoch + 1, 0)

    def _is_affordable(self) -> bool:
        return (time.perf_counter() - self._last_end) * COST >= self._last_cost

    def _save(self, model: Any, epoch: int, batch: int) -> None:
        if self.folder is None:
            return
        synchronize(model.device)  # steps that are still queued are no cost of the checkpoint
        started = time.perf_counter()
        progress = {
            "identity": self.identity,
            "epoch": epoch,
            "batch": batch,
            "counters": {name: _plain(getattr(model, name)) for name in _COUNTERS},
            "best_epoch": getattr(model, "best_epoch", None),
            "history": [entry.model_dump() for entry in model.history],
            "seconds": self.seconds_before + started - self._since,
            "trained": started - model._training_since,
        }
        self._write(model, self.folder, progress)
        self._last_end = time.perf_counter()
        self._last_cost = self._last_end - started
        model._training_since += self._last_cost  # is no training

    def _write(self, model: Any, folder: Path, progress: dict[str, Any]) -> None:
        best = self._keep_best(model, folder)
        state = {
            **progress,
            "model": model.state_dict(),
            "buffers": dict(model.named_buffers()),  # those that a model declares not worth saving among them
            "optimizer": model.optimizer.state_dict(),
            "average": model.average_state() if hasattr(model, "average_state") else None,
            "random": _random_states(),
            "best": best and best.name,
        }
        with replacing(folder / STATE_FILE) as temporary:
            torch.save(state, temporary)
        for path in folder.glob("best-*.model"):
            if path != best:
                path.unlink()

    def _keep_best(self, model: Any, folder: Path) -> Path | None:
        """A second name for the best weights, so that a later best does not take their place before the next state."""
        if not hasattr(model, "best_epoch"):
            return None
        best = folder / f"best-{len(model.history)}.model"
        best.unlink(missing_ok=True)
        os.link(model.checkpoint, best)
        return best

    def _load(self) -> dict[str, Any] | None:
        """The state to continue from; None when there is none, or none that can be used, which the log says."""
        if self.folder is None or not (self.folder / STATE_FILE).exists():
            return None
        path = self.folder / STATE_FILE
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            seen = state["identity"]
            best = state["best"]
        except Exception as error:  # torch raises what it likes on a damaged file; no run may depend on one
            logging.warning("starting anew: the checkpoint %s cannot be read (%s)", path, error)
            return None
        if seen != self.identity:
            logging.warning("starting anew: the checkpoint %s is of another run, %s", path, seen)
            return None
        if best is not None and not (self.folder / best).exists():
            logging.warning("starting anew: the checkpoint %s lacks its best weights", path)
            return None
        return state

    def _restore(self, model: Any, state: dict[str, Any], folder: Path) -> None:
        logging.info("continuing in epoch %d after %d batches", state["epoch"] + 1, state["batch"])
        self._read(model, state, folder)
        for name, value in state["counters"].items():
            setattr(model, name, value)
        model.history = [Epoch(**entry) for entry in state["history"]]
        if state["best"]:
            model.best_epoch = state["best_epoch"]
        self.seconds_before = state["seconds"]
        self._since = self._last_end = time.perf_counter()
        model._training_since = self._since - state["trained"]

    def _read(self, model: Any, state: dict[str, Any], folder: Path) -> None:
        model.load_state_dict(state["model"])
        buffers = dict(model.named_buffers())
        for name, value in state["buffers"].items():
            buffers[name].copy_(value)
        model.optimizer.load_state_dict(state["optimizer"])
        if state["average"] is not None:
            model.load_average_state(state["average"])
        if state["best"]:
            os.link(folder / state["best"], model.checkpoint)
        _restore_random_states(state["random"])


NEVER = Checkpointer(None, {})


class _Rest:
    """A split without its first batches; says between two batches how many are done."""

    def __init__(self, batches: Any, done: int, between: Callable[[int], None]):
        self._batches, self._done, self._between = batches, done, between

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[Any]:
        for batch_index, batch in enumerate(islice(self._batches, self._done, None), start=self._done):
            if batch_index > self._done:
                self._between(batch_index)
            yield batch


def _plain(value: Any) -> Any:
    """A number for a tensor of one number; float32 comes back from it unchanged."""
    return value.item() if isinstance(value, torch.Tensor | np.generic) else value


def _random_states() -> dict[str, Any]:
    state: Any = np.random.get_state()  # a tuple, unless its newer form is asked for
    name, keys, *rest = state
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(keys.astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def _restore_random_states(states: dict[str, Any]) -> None:
    name, keys, *rest = states["numpy"]
    random.setstate(states["python"])
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"])
    if states["cuda"]:
        torch.cuda.set_rng_state_all(states["cuda"])
