"""Builds any FuxiCTR model, lets FuxiCTR train it, and watches. Only this module and ``step`` know how FuxiCTR trains.

Training is FuxiCTR's ``BaseModel.fit`` with its semantics: learning rate x 0.1 on every evaluation that does not
improve (floor 1e-6), gradients clipped at norm 10, best checkpoint by the monitored metric, early stopping.
"""

import json
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.layers import FeatureEmbeddingDict
from fuxictr.pytorch.torch_utils import seed_everything

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing
from fuxi_plugins.datasets.dataloader import ColumnLoader
from fuxi_plugins.datasets.module_names import module_name
from fuxi_plugins.datasets.prepare import FEATURE_MAP_FILE, PreparedData
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.experiments.settings import OWN_SETTINGS, Training
from fuxi_plugins.models import checkouts
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.records.metrics import evaluate_metrics, find_metric
from fuxi_plugins.records.record import Epoch, Metrics, Parameters
from fuxi_plugins.training import accumulation, fast_step, options, sparse_embeddings
from fuxi_plugins.training.accumulation import AccumulatingStep
from fuxi_plugins.training.checkpoint import NEVER, Keeper
from fuxi_plugins.training.distributed import ddp
from fuxi_plugins.training.distributed.ddp import Together
from fuxi_plugins.training.sparse_embeddings import LazyTables

DEPARTURES = [
    "batches: seeded order from memory-mapped columns (FuxiCTR's own loader shuffles without a seed)",
    "evaluation: metrics over whole arrays (same definitions)",
]

Report = Callable[[dict[str, Any]], None]
Watcher = Callable[[Any, int], None]  # told of the model and the epoch after each evaluation; changes neither


class TrainingFailed(Exception):
    """The model could not be trained: the loss left the finite numbers, or nothing was ever learned."""


@dataclass(frozen=True)
class Scores:
    """Predictions of a split, in the order of its rows."""

    labels: np.ndarray  # (N,)
    predictions: np.ndarray  # (N,) float32
    groups: np.ndarray | None  # (N,) where the dataset has them
    metrics: Metrics


@dataclass(frozen=True)
class LossOnDevice:
    """A step's loss for FuxiCTR's ``fit``, which adds up what ``item()`` gives.

    It gives the tensor, so that the sum stays on the device too and no step waits for the one before it.
    """

    loss: torch.Tensor

    def item(self) -> torch.Tensor:
        return self.loss


class HostedModel:
    """Mixed in front of a FuxiCTR model class at run time: records what happens, changes nothing that is learned."""

    report: Report
    history: list[Epoch]
    best_epoch: int  # the one whose weights are in the checkpoint

    def watch(self, report: Report, watchers: Sequence[Watcher], keeper: Keeper) -> None:
        self.report, self.watchers, self.keeper, self.history = report, watchers, keeper, []
        self._loss_sum, self._loss_steps = 0.0, 0
        self._training_since = time.perf_counter()

    def train_epoch(self, data_generator: ColumnLoader) -> None:
        self.keeper.train_epoch(self, data_generator, super().train_epoch)

    def save_weights(self, checkpoint: str) -> None:
        with replacing(Path(checkpoint)) as temporary:
            super().save_weights(temporary)

    def load_weights(self, checkpoint: str) -> None:
        self.load_state_dict(torch.load(checkpoint, map_location=self.device, weights_only=True))

    def train_step(self, batch_data: dict[str, torch.Tensor]) -> "LossOnDevice":
        try:
            loss = super().train_step(batch_data)
        except RuntimeError as error:  # torch's loss refuses predictions that are not numbers, but not by that name
            with torch.no_grad():
                finite = torch.isfinite(self.forward(batch_data)["y_pred"]).all()
            if finite:
                raise
            raise TrainingFailed(
                f"the predictions left the finite numbers in epoch {self._epoch_index + 1}; "
                "a lower learning rate may help"
            ) from error
        self._loss_sum = self._loss_sum + loss.detach()  # stays on the device; read once an evaluation
        self._loss_steps += 1
        fast_step = self._total_steps - self._epoch_index * self._steps_per_epoch
        self.report({"epoch": self._epoch_index + 1, "step": fast_step, "steps": self._steps_per_epoch})
        return LossOnDevice(loss.detach())

    def eval_step(self) -> None:
        trained = time.perf_counter() - self._training_since
        train_loss = float(self._loss_sum) / self._loss_steps
        if not math.isfinite(train_loss):
            raise TrainingFailed(f"the training loss became {train_loss} in epoch {self._epoch_index + 1}")
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
        for watcher in self.watchers:
            watcher(self, self._epoch_index + 1)
        self._loss_sum, self._loss_steps = 0.0, 0
        self._training_since = time.perf_counter()

    def evaluate(self, data_generator: ColumnLoader, metrics: list[str] | None = None) -> Metrics:
        """Every metric of the experiment, whichever of them is monitored."""
        self._latest_metrics = self.score(data_generator).metrics
        logging.info("[Metrics] " + " - ".join(f"{name}: {value:.6f}" for name, value in self._latest_metrics.items()))
        return self._latest_metrics

    @torch.no_grad()
    def score(self, batches: ColumnLoader) -> Scores:
        """Predicts a split."""
        self.eval()
        labels, predictions, groups = [], [], []
        fields = {field: [] for name in self.validation_metrics if (field := find_metric(name).field)}
        for number, batch in enumerate(batches):
            predictions.append(self.predicted(number, batch))
            labels.append(self.get_labels(batch).reshape(-1))
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
        metrics = evaluate_metrics(y_true, y_pred, self.validation_metrics, group_ids, ids)
        for name, value in metrics.items():
            if math.isnan(value):
                raise TrainingFailed(
                    f"{name} has no value on {len(y_true)} rows (a metric within groups needs a group with rows of "
                    "both classes); choose metrics without it"
                )
        return Scores(y_true, y_pred, group_ids, metrics)

    def predicted(self, number: int, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Probabilities (B,) of the batch of this number."""
        return self.forward(batch)["y_pred"].reshape(-1)

    def gathered(self, predictions: torch.Tensor) -> torch.Tensor:
        """The predictions of a whole split (N,) from those that this process has made of it."""
        return predictions


def mixins(experiment: Experiment, parts: int = 1, processes: int = 1) -> tuple[type, ...]:
    """What stands in front of the experiment's model class to train it.

    Raises:
        UserError: the settings ask for a step that the model cannot be given.
    """
    training = Training(**experiment.params["training"])
    if training.lazy_tables and not uses_fast_step(experiment):
        raise UserError(
            f"experiment {experiment.id!r}: lazy_tables: true replaces the training step, but {experiment.model} "
            "brings one, a loss or a regulariser of its own. Leave the setting out."
        )
    fast = LazyTables if training.lazy_tables else fast_step.FastStep if uses_fast_step(experiment) else None
    own_step = AccumulatingStep if parts > 1 else fast
    shared = (Together,) if processes > 1 else ()
    return (*shared, HostedModel, *options.mixins(training), *((own_step,) if own_step else ()))


def departures(experiment: Experiment, parts: int = 1, processes: int = 1) -> list[str]:
    """In what a run of this experiment is not plain FuxiCTR, for its record."""
    training = Training(**experiment.params["training"])
    how_it_steps = sparse_embeddings.DEPARTURE if training.lazy_tables else fast_step.DEPARTURE
    return [
        *DEPARTURES,
        *([how_it_steps] if uses_fast_step(experiment) and parts == 1 else []),
        *([accumulation.departure(parts)] if parts > 1 else []),
        *([ddp.departure(processes)] if processes > 1 else []),
        *options.departures(training),
    ]


def uses_fast_step(experiment: Experiment) -> bool:
    wanted = Training(**experiment.params["training"]).train_step == "fast"
    return wanted and fast_step.can_replace_the_step_of(load_model_class(experiment.model))


def build_model(
    experiment: Experiment,
    data: PreparedData,
    *,
    gpu: int,
    checkpoint_folder: Path,
    parts: int = 1,
    processes: int = 1,
) -> Any:
    """The experiment's model, initialised, on its device, ready for :func:`train_model`.

    Args:
        parts: in which each batch is computed, to need less memory.
        processes: that share the run.

    Raises:
        UserError: the model's constructor refuses its settings.
        TrainingFailed: the training step is one that cannot be done in parts.
    """
    is_lazy = Training(**experiment.params["training"]).lazy_tables
    if parts > 1 and (is_lazy or not fast_step.can_replace_the_step_of(load_model_class(experiment.model))):
        whose = "with lazy_tables the" if is_lazy else "the model's own"
        raise TrainingFailed(f"memory ran out, and {whose} training step cannot be done in parts")
    folder = checkpoint_folder / data.spec.dataset_id  # FuxiCTR writes there but does not make it
    folder.mkdir(parents=True, exist_ok=True)
    model = construct(
        mixins(experiment, parts, processes), experiment, data, gpu=gpu, model_root=str(checkpoint_folder)
    )
    model.parts = parts
    model.checkpoint = str(folder / "best.model")  # FuxiCTR would name it after the experiment
    return model


def train_model(
    model: Any,
    experiment: Experiment,
    data: PreparedData,
    seed: int,
    report: Report,
    watchers: Sequence[Watcher] = (),
    keeper: Keeper = NEVER,
) -> list[Epoch]:
    """Trains by FuxiCTR's ``fit`` and leaves the best weights by validation in the model.

    ``keeper`` writes checkpoints and continues from the one that an earlier process has left.

    Raises:
        TrainingFailed: the loss is not finite, or no evaluation improved on the start.
    """
    training = experiment.params["training"]
    Path(model.checkpoint).unlink(missing_ok=True)  # a run that never improves must not load an older one
    model.watch(report, watchers, keeper)
    report({"epochs": training["epochs"]})
    try:
        model.fit(
            load_split(model, data, "train", experiment, seed),
            validation_data=load_split(model, data, "valid", experiment, seed),
            epochs=training["epochs"],
            max_gradient_norm=training["max_gradient_norm"],
        )
    except FileNotFoundError as error:
        if error.filename != model.checkpoint:
            raise
        raise TrainingFailed("no evaluation gave a number to keep a checkpoint by") from error
    return model.history


def load_split(model: Any, data: PreparedData, split: str, experiment: Experiment, seed: int) -> ColumnLoader:
    training = experiment.params["training"]
    return ColumnLoader(
        model.feature_map,
        data.split_folder(split),
        split=split,
        batch_size=training["batch_size"],
        shuffle=training["shuffle"] and split == "train",
        seed=seed,
        num_workers=training["num_workers"],
        device=model.device,
    )


def count_parameters(model: torch.nn.Module) -> Parameters:
    """Trainable parameters, those of the embedding tables (FuxiCTR's, first-order weights among them) apart."""
    tables = {
        id(parameter)
        for module in model.modules()
        if isinstance(module, FeatureEmbeddingDict)
        for parameter in module.parameters()
    }
    trainable = [parameter for parameter in model.parameters() if parameter.requires_grad]
    embedding = sum(parameter.numel() for parameter in trainable if id(parameter) in tables)
    return Parameters(dense=sum(parameter.numel() for parameter in trainable) - embedding, embedding=embedding)


def load_feature_map(data: PreparedData, embedding_dim: int | None) -> FeatureMap:
    """FuxiCTR's description of the prepared columns, under the names that they have inside models.

    Raises:
        UserError: a column with pretrained vectors, which FuxiCTR looks up by its name, has a name that torch refuses.
    """
    feature_map = FeatureMap(data.spec.dataset_id, str(data.folder))
    group = data.spec.group_id
    params = {"group_id": module_name(group) if group else None, "embedding_dim": embedding_dim}
    feature_map.load(str(data.folder / FEATURE_MAP_FILE), params)
    for name, spec in feature_map.features.items():  # as the config has them now; FuxiCTR leaves them out on meta ones
        spec["source"] = data.spec.source_of.get(name, "")
        if "share_embedding" in spec:
            spec["share_embedding"] = module_name(spec["share_embedding"])
        if "pretrained_emb" in spec and module_name(name) != name:
            raise UserError(
                f"{data.spec.dataset_id}: a column with pretrained vectors must have a name that torch gives modules, "
                f"but {name!r} is none. Rename the column."
            )
    feature_map.features = OrderedDict((module_name(name), spec) for name, spec in feature_map.features.items())
    feature_map.column_index = {}
    feature_map.set_column_index()
    return feature_map


def use_seed(seed: int, threads: int) -> None:
    """Fixes every random state and the number of threads, on which sums in floating point depend."""
    torch.set_num_threads(threads)
    seed_everything(seed)


def use_gpu_share(gpu: int, share: float) -> None:
    """Keeps a run to its share of a GPU's memory, so that it runs out of its own and not of its neighbour's."""
    if gpu >= 0 and share < 1:
        torch.cuda.set_per_process_memory_fraction(share, gpu)


def construct(
    mixins: tuple[type, ...], experiment: Experiment, data: PreparedData, *, gpu: int, model_root: str
) -> Any:
    model_class = load_model_class(experiment.model)
    hosted = type(f"{mixins[0].__name__}_{model_class.__name__}", (*mixins, model_class), {})
    others = {"epochs", "max_gradient_norm", "batch_size", "shuffle", "num_workers", *OWN_SETTINGS}  # fit's, ours
    training = {name: value for name, value in experiment.params["training"].items() if name not in others}
    feature_map, model_params = (
        load_feature_map(data, experiment.embedding_dim),
        _inside_models(experiment.params["model"]),
    )
    is_of_zoo = experiment.model.startswith(checkouts.PREFIX)
    if is_of_zoo:
        _keep_unpooled(feature_map, model_params)
    try:
        return hosted(
            feature_map,
            model_id=experiment.id,
            gpu=gpu,
            model_root=model_root,
            verbose=0,
            **training,
            **(_as_fuxictr_writes_fields(model_params) if is_of_zoo else model_params),
        )
    except (ValueError, AssertionError) as error:
        settings = json.dumps(experiment.params["model"])
        raise UserError(f"experiment {experiment.id!r}: {error} (settings: {settings})") from error


def _inside_models(model_params: dict[str, Any]) -> dict[str, Any]:
    """The settings with the columns that they name, as ``din_target_field`` does, under their names inside models."""
    return {key: _renamed(value) if key.endswith("_field") else value for key, value in model_params.items()}


def _renamed(named: Any) -> Any:
    return module_name(named) if isinstance(named, str) else named and [_renamed(part) for part in named]


def _keep_unpooled(feature_map: FeatureMap, model_params: dict[str, Any]) -> None:
    """A sequence that a zoo model's setting names is one that the model reads itself, behaviour by behaviour."""
    named = [name for key, value in model_params.items() if key.endswith("_field") for name in _names_in(value)]
    for name in named:
        spec = feature_map.features.get(name, {})
        if spec.get("type") == "sequence":
            spec.pop("feature_encoder", None)


def _names_in(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else [name for part in value or [] for name in _names_in(part)]


def _as_fuxictr_writes_fields(model_params: dict[str, Any]) -> dict[str, Any]:
    """Fields that belong together are a tuple in FuxiCTR, which JSON has not."""
    return {
        key: [tuple(part) if isinstance(part, list) else part for part in value]
        if key.endswith("_field") and isinstance(value, list)
        else value
        for key, value in model_params.items()
    }
