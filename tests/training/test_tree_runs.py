"""Tree models: what their libraries are given, and that a run is the library's own training, recorded as any other."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.adhoc import adhoc_suite
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.code import TRAINING, code_of, model_digest, revisions, training_digest
from fuxi_plugins.experiments.code import TREES as PROTOCOL
from fuxi_plugins.experiments.common import board_rows
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.settings import default_settings, legal_settings
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.models.registry import TREE_MODELS, load_tree_class, model_summary
from fuxi_plugins.models.trees.base import Table
from fuxi_plugins.records.files import read_record
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.training import tree_runs
from fuxi_plugins.training.preflight import require_shareable
from fuxi_plugins.tuning.space import default_space
from tests.conftest import write
from tests.training.test_runner import make_job, outcome, run

TREES = """
Base:
    dataset_id: tiny
    batch_size: 100
    epochs: 2
    learning_rate: 1e-3
    embedding_dim: 4
    metrics: [AUC, logloss, gAUC]
    monitor: gAUC
LightGBM_tiny: {model: LightGBM, min_data_per_group: 5}
XGBoost_tiny: {model: XGBoost, learning_rate: 0.1, sequences: left_out}
CatBoost_tiny: {model: CatBoost, max_rounds: 60}
DNN_beside_trees: {model: DNN, hidden_units: [8]}
"""


@pytest.fixture
def configs(workspace):
    write(workspace.configs / "model_config" / "trees.yaml", TREES)
    write(
        workspace.configs / "suites" / "beside.yaml",
        "title: Trees beside a network\nexperiments: [DNN_beside_trees, LightGBM_tiny]\nseeds: [1]\n",
    )
    return workspace


@pytest.fixture(params=TREE_MODELS)
def job(request, configs, tmp_path):
    pytest.importorskip(load_tree_class(request.param).package, reason="an extra: pip install fuxibench[trees]")
    return make_job(configs, tmp_path, experiment=f"{request.param}_tiny")


def tables(job):
    model = load_tree_class(job.experiment.model)(**job.experiment.model_params)
    return model, [
        tree_runs.load_split(job.experiment, job.data, split, model.sequences).table
        for split in ("train", "valid", "test")
    ]


def by_hand(model, train: Table, test: Table, rounds: int, seed: int) -> np.ndarray:
    """The library alone: no valid, no callbacks, just so many rounds."""
    library, parameters = model.library(), model.parameters(seed, threads=1)
    if model.package == "lightgbm":
        rows = library.Dataset(train.values, train.labels, categorical_feature=train.categorical)
        return library.train(parameters, rows, rounds).predict(test.values)
    if model.package == "xgboost":
        return library.train(parameters, model.matrix(train, 1), rounds).predict(model.matrix(test, 1))
    booster = library.CatBoost({**parameters, "iterations": rounds}).fit(model.pool(train))
    return booster.predict(model.pool(test), prediction_type="Probability")[:, 1]


def test_a_run_is_the_librarys_own_training_bit_for_bit(job):
    record = run(job)
    model, (train, _, test) = tables(job)
    expected = by_hand(model, train, test, record.best_epoch, job.seed).astype(np.float32)
    with h5py.File(job.run_folder / "predictions.h5") as file:
        predictions = file["y_pred"][:]
    np.testing.assert_array_equal(predictions, expected)
    columns = read_columns(job.data.split_folder("test"))
    names = ["AUC", "logloss", "gAUC"]
    assert record.metrics["test"] == evaluate_metrics(columns["label"], predictions, names, columns["group"])


def test_the_best_round_is_that_of_the_monitored_metric_and_training_stops_after_it(job):
    record = run(job)
    values = {entry.epoch: entry.valid["gAUC"] for entry in record.history}
    assert record.best_epoch == max(values, key=lambda number: (values[number], -number))
    assert record.metrics["valid"] == next(e.valid for e in record.history if e.epoch == record.best_epoch)
    model, _ = tables(job)
    last = record.history[-1].epoch
    assert last == model.max_rounds or model.early_stop_rounds <= last - record.best_epoch
    assert last - record.best_epoch <= model.early_stop_rounds
    assert list(values) == [*range(model.eval_rounds, last + 1, model.eval_rounds)]
    losses = [entry.train_loss for entry in record.history]
    assert losses == sorted(losses, reverse=True)


def test_the_record_says_what_happened_and_the_same_run_is_the_same(job, tmp_path):
    record = run(job)
    assert record == read_record(job.run_folder / "record.json")
    assert record.metrics["test"]["AUC"] > 0.67
    assert record.machine.device == "cpu"
    assert record.machine.versions[load_tree_class(record.model).package]
    assert record.params["training"] == {
        "metrics": ["AUC", "logloss", "gAUC"],
        "monitor": "gAUC",
        "monitor_mode": "max",
    }
    assert record.params["model"]["learning_rate"] == (0.1 if record.model == "XGBoost" else 0.05)
    assert record.parameters.embedding == 0
    assert record.parameters.dense >= 2 * record.best_epoch
    said = " ".join(record.deviations)
    assert f"leaves of the {record.best_epoch} trees" in said
    assert ("sequences (shops): left out" in said) == (record.model == "XGBoost")
    assert outcome(run(job)) == outcome(record)


def test_ids_that_train_lacks_have_predictions(job):
    model, (train, valid, test) = tables(job)
    model.fit(train, valid, 1, 1, lambda number, predictions, loss: number < 20)
    unseen = test.values.copy()
    unseen[:, test.categorical] = 1000
    predictions = model.predict(Table(unseen, test.labels, test.categorical), 20)
    assert np.isfinite(predictions).all()
    assert not np.array_equal(predictions, model.predict(test, 20))


def test_trees_are_rows_beside_networks_and_are_skipped_without_their_library(configs, monkeypatch):
    monkeypatch.setattr(load_tree_class("LightGBM"), "package", "no_such_library")
    resources = Resources([-1], threads=1)
    plan = plan_suite(load_suite(configs.configs, "beside"), configs, resources)
    assert [job.experiment.id for job in plan.todo] == ["DNN_beside_trees"]
    ((skipped, reason),) = plan.skipped
    assert skipped.experiment.id == "LightGBM_tiny"
    assert reason == ("LightGBM needs the package no_such_library: pip install no_such_library, or fuxibench[trees]")
    with pytest.raises(UserError, match="LightGBM needs the package no_such_library"):
        plan_suite(adhoc_suite("LightGBM", "tiny", {}, [1], configs), configs, resources)


def test_the_table_column_by_column(configs):
    data = prepare_dataset(load_dataset_spec(configs.configs, "tiny"), configs)
    columns = read_columns(data.split_folder("test"))
    table = tree_runs.make_table(data, columns, "summary")
    assert table.categorical == [0, 1, 4]
    assert table.values.dtype == np.float32
    for row in range(len(table.labels)):
        shops = [int(shop) for shop in columns["shops"][row] if shop != 0]
        expected = [
            columns["user"][row],
            columns["shop"][row],
            columns["price"][row],
            len(shops),
            shops[-1] if shops else 0,
            shops.count(int(columns["shop"][row])),
        ]
        assert table.values[row].tolist() == pytest.approx(expected)
    assert tree_runs.make_table(data, columns, "left_out").values.tolist() == table.values[:, :3].tolist()


def test_a_padding_that_equals_a_missing_target_is_no_match(configs):
    data = prepare_dataset(load_dataset_spec(configs.configs, "tiny"), configs)
    columns = {name: np.array(column) for name, column in read_columns(data.split_folder("test")).items()}
    columns["shop"][:] = 0
    assert tree_runs.make_table(data, columns, "summary").values[:, 5].tolist() == [0.0] * 300


def test_the_last_id_whichever_side_the_padding_is_on():
    ids = np.array([[0, 0, 5], [0, 4, 5], [5, 4, 0], [5, 0, 0], [0, 0, 0]])
    assert tree_runs.last_ids(ids).tolist() == [5, 5, 4, 5, 0]


def test_an_id_beyond_float32_is_not_rounded(configs):
    data = prepare_dataset(load_dataset_spec(configs.configs, "tiny"), configs)
    columns = {name: np.array(column) for name, column in read_columns(data.split_folder("test")).items()}
    columns["user"] = columns["user"].astype(np.int64)
    columns["user"][0] = 2**24 + 1
    assert tree_runs.make_table(data, columns, "summary").values[0, 0] == 2**24 + 1


def test_a_base_says_nothing_of_steps_to_a_tree_model_and_its_own_entry_may_not(configs):
    experiment = resolve(load_experiment_config(configs.configs, "LightGBM_tiny"))
    assert experiment.model_params["learning_rate"] == 0.05
    assert "batch_size" not in experiment.params["training"]
    config = load_experiment_config(configs.configs, "LightGBM_tiny")
    with pytest.raises(UserError, match="LightGBM has no setting 'batch_size'"):
        resolve(config.varied({"batch_size": 10}))
    with pytest.raises(UserError, match="num_leaves.*greater than or equal to 1"):
        resolve(config.varied({"num_leaves": 0}))


@pytest.mark.parametrize("name", TREE_MODELS)
def test_a_tree_model_is_a_row_of_common_boards_with_a_space_and_code_of_its_own(name):
    model_class = load_tree_class(name)
    assert name in board_rows()
    assert set(default_space(name).axes) <= legal_settings(model_class)
    assert set(default_settings(model_class)) == legal_settings(model_class)
    assert model_summary(name).startswith(name)
    code = code_of(name)
    assert code.training == f"revision {revisions()[PROTOCOL].revision}"
    assert code.model == f"revision {revisions()[name].revision}"
    assert model_digest(name) != model_digest("DNN")
    assert training_digest(PROTOCOL) != training_digest(TRAINING)


def test_several_processes_cannot_share_a_tree_model(configs):
    with pytest.raises(UserError, match="LightGBM trains in one process"):
        require_shareable(resolve(load_experiment_config(configs.configs, "LightGBM_tiny")))


def test_weights_of_rows_reach_the_library(job):
    """Rows with the wrong label spoil a training, but not where they weigh nothing."""
    model, (train, valid, _) = tables(job)
    rows = len(train.labels)
    spoiled = replace(
        train,
        values=np.concatenate([train.values, train.values]),
        labels=np.concatenate([train.labels, 1 - train.labels]),
    )
    found = {}
    for name, table in {
        "plain": train,
        "spoiled": spoiled,
        "weighted": replace(spoiled, weights=np.repeat(np.float32([1, 0]), rows)),
    }.items():
        fitted = type(model)(**job.experiment.model_params)
        fitted.fit(table, valid, 1, 1, lambda *_: True)
        found[name] = fitted.predict(valid, 5)
    agreement = {name: np.cov(scores, found["plain"])[0, 1] for name, scores in found.items()}
    assert agreement["weighted"] > 3 * abs(agreement["spoiled"])
