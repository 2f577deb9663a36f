"""The run of a tree model: its library trains from whole columns, and the same record comes out.

The prepared data, the splits, the seed, the metrics and the choice by validation are those of all models; FuxiCTR's
``fit`` has no part in it. A round of boosting stands where other models have an epoch. A run that was interrupted is
repeated from its start, which ends in the same numbers.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from fuxi_plugins.datasets.columns import FeatureColumn
from fuxi_plugins.datasets.prepare import PreparedData
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.experiments.experiment import Experiment
from fuxi_plugins.models.registry import load_tree_class
from fuxi_plugins.models.trees.base import Sequences, Table, TreeModel
from fuxi_plugins.records.metrics import evaluate_metrics, find_metric
from fuxi_plugins.records.parts import Epoch, Metrics, Parameters
from fuxi_plugins.training import sample_weights
from fuxi_plugins.training.hosted import Callback, Report, require_values

PADDING = 0  # in a sequence
LARGEST_EXACT = 2**24  # whole number up to which float32 has all of them
MIN_DELTA = 1e-6  # that is an improvement, as for all models


@dataclass(frozen=True)
class TreeRun:
    """What a run's record says of its training."""

    metrics: dict[str, Metrics]  # by split, of the best round
    predictions: np.ndarray  # (N,) float32, of test
    best_round: int
    history: list[Epoch]
    parameters: Parameters
    library: dict[str, str]  # its version by its name
    deviations: list[str]


@dataclass(frozen=True)
class Split:
    """The rows of a split, and what its metrics need beside labels."""

    table: Table
    groups: np.ndarray | None  # (N,)
    fields: dict[str, np.ndarray]  # (N,) each

    def metrics(self, predictions: np.ndarray, names: Sequence[str]) -> Metrics:
        found = evaluate_metrics(self.table.labels, predictions, names, self.groups, self.fields)
        require_values(found, len(predictions))
        return found


def train_trees(
    experiment: Experiment,
    data: PreparedData,
    seed: int,
    threads: int,
    report: Report,
    callbacks: Sequence[Callback] = (),
) -> TreeRun:
    """Grows trees until validation stops them; the best round is scored on test once.

    Raises:
        UserError: the model's library is not installed.
        TrainingFailed: a metric has no value.
    """
    model = load_tree_class(experiment.model)(**experiment.model_params)
    library = model.library()
    train, valid = (load_split(experiment, data, split, model.sequences) for split in ("train", "valid"))
    rounds = Rounds(experiment, model, valid, report, callbacks)
    model.fit(train.table, valid.table, seed, threads, rounds)
    report({"phase": "test"})
    test = load_split(experiment, data, "test", model.sequences)
    predicted = {
        name: model.predict(split.table, rounds.best_round).astype(np.float32)
        for name, split in (("valid", valid), ("test", test))
    }
    names = experiment.training.metrics
    leaves = model.count_leaves(rounds.best_round)
    return TreeRun(
        metrics={"valid": valid.metrics(predicted["valid"], names), "test": test.metrics(predicted["test"], names)},
        predictions=predicted["test"],
        best_round=rounds.best_round,
        history=rounds.history,
        parameters=Parameters(dense=leaves, embedding=0),
        library={model.package: library.__version__},
        deviations=deviations(model, data, rounds.best_round),
    )


def deviations(model: TreeModel, data: PreparedData, best_round: int) -> list[str]:
    """In what the run is not FuxiCTR's, for its record."""
    said = [
        f"trained by {model.package}, a round of boosting in the place of an epoch",
        f"parameters: the leaves of the {best_round} trees up to the best round",
        f"ids: {model.ids}",
    ]
    if data.spec.weight_col:
        said.append(sample_weights.deviation(data.spec.weight_col))
    if names := [name for column in _features(data) if column.type == "sequence" for name in column.names]:
        how = (
            "their length, last id, and how often the target is in them" if model.sequences == "summary" else "left out"
        )
        said.append(f"sequences ({', '.join(names)}): {how}")
    return said


@dataclass
class Rounds:
    """Follows the rounds of a training: keeps the history, and stops when valid no longer improves."""

    experiment: Experiment
    model: TreeModel
    valid: Split
    report: Report
    callbacks: Sequence[Callback]
    history: list[Epoch] = field(default_factory=list)
    best_round: int = 0
    _best: float = -np.inf
    _since: float = field(default_factory=time.perf_counter)

    def __call__(self, round_number: int, predictions: np.ndarray, train_loss: float) -> bool:
        trained = time.perf_counter() - self._since
        started = time.perf_counter()
        metrics = self.valid.metrics(predictions.astype(np.float32), self.experiment.training.metrics)
        training = self.experiment.training
        value = sum(weight * metrics[name] for name, weight in training.weights.items())
        value = value if training.monitor_mode == "max" else -value
        if value >= self._best + MIN_DELTA:
            self._best, self.best_round = value, round_number
        self.history.append(
            Epoch(
                epoch=round_number,
                step=round_number,
                train_loss=train_loss,
                learning_rate=self.model.learning_rate,
                valid=metrics,
                seconds=trained,
                evaluation_seconds=time.perf_counter() - started,
            )
        )
        self.report({"epoch": round_number, "step": round_number, "steps": self.model.max_rounds, "valid": metrics})
        for callback in self.callbacks:
            callback(self, round_number)
        self._since = time.perf_counter()
        return round_number - self.best_round < self.model.early_stop_rounds


def load_split(experiment: Experiment, data: PreparedData, split: str, sequences: Sequences) -> Split:
    """A split from its store, as a table and what the experiment's metrics need."""
    columns = read_columns(data.split_folder(split))
    fields = {name for metric in experiment.training.metrics if (name := find_metric(metric).field)}
    group = data.spec.group_id
    return Split(
        make_table(data, columns, sequences, weighted=split == "train"),
        np.array(columns[group]).reshape(-1) if group else None,
        {name: np.array(columns[name]).reshape(-1) for name in fields},
    )


def make_table(
    data: PreparedData, columns: dict[str, np.ndarray], sequences: Sequences, weighted: bool = False
) -> Table:
    """Ids and numbers of the features side by side, in the order of the dataset's config; its weights if asked for."""
    values: list[np.ndarray] = []
    categorical: list[int] = []

    def add(column: np.ndarray, is_id: bool) -> None:
        categorical.extend([len(values)] * is_id)
        values.append(column)

    for feature in _features(data):
        for name in feature.names:
            if feature.vector_length:
                for number in columns[name].T:
                    add(number, False)
            elif feature.type != "sequence":
                add(columns[name].reshape(-1), feature.type == "categorical")
            elif sequences == "summary":
                ids = columns[name]
                add((ids != PADDING).sum(axis=1), False)
                add(last_ids(ids), True)
                target = columns.get(feature.share_embedding or "")
                if target is not None and target.ndim == 1:
                    add(((ids == target[:, None]) & (ids != PADDING)).sum(axis=1), False)
    largest = max((int(values[place].max(initial=0)) for place in categorical), default=0)
    dtype = np.float32 if largest <= LARGEST_EXACT else np.float64
    table = np.empty((len(values[0]), len(values)), dtype)
    for place, column in enumerate(values):
        table[:, place] = column
    labels = np.array(columns[data.spec.label_col.name], np.float32).reshape(-1)
    weights = np.array(columns[data.spec.weight_col]) if weighted and data.spec.weight_col else None
    return Table(table, labels, categorical, weights)


def last_ids(ids: np.ndarray) -> np.ndarray:
    """Of each row (N, length) the last id that is no padding, on whichever side that stands; (N,), padding if none."""
    behind = (ids[:, ::-1] != PADDING).argmax(axis=1)
    return ids[np.arange(len(ids)), ids.shape[1] - 1 - behind]


def _features(data: PreparedData) -> list[FeatureColumn]:
    return [column for column in data.spec.active_columns if column.type != "meta"]
