"""Seed ensembles: laws of the mean, and the table below a board."""

import csv

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import roc_auc_score

from fuxi_plugins.analysis.ensembles import find_ensembles, mean_prediction
from fuxi_plugins.analysis.evidence import TestRows
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.store import read_columns
from fuxi_plugins.experiments.suite import load_suite
from fuxi_plugins.reporting.boards import suite_boards
from fuxi_plugins.reporting.ensembles import board_ensembles
from tests.analysis import make

SEEDS = arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(0, 1, width=32))


@given(SEEDS, st.randoms())
def test_the_order_of_the_seeds_does_not_matter_to_the_last_bit(predictions, random):
    shuffled = list(predictions)
    random.shuffle(shuffled)
    np.testing.assert_array_equal(mean_prediction(shuffled), mean_prediction(list(predictions)))


@given(SEEDS)
def test_an_ensemble_of_one_seed_is_the_seed_and_of_more_lies_between_them(predictions):
    np.testing.assert_array_equal(mean_prediction([predictions[0]]), predictions[0].astype(np.float64))
    mean = mean_prediction(list(predictions))
    assert (mean >= predictions.min(axis=0) - 1e-12).all()
    assert (mean <= predictions.max(axis=0) + 1e-12).all()
    np.testing.assert_allclose(mean, predictions.astype(np.float64).mean(axis=0), atol=1e-12)


def test_values_and_gains_of_a_table_worked_out_by_hand(tmp_path):
    """Each seed of A errs on one pair of four, and together they err on none."""
    labels = np.array([1, 1, 0, 0])
    scores = {1: np.array([0.9, 0.4, 0.5, 0.1]), 2: np.array([0.4, 0.9, 0.1, 0.5])}
    records = [make.record("A", seed, test=0.75) for seed in scores]
    board = make.board_of("toy", records, tmp_path).board
    (row,) = board.ranked()
    (found,) = find_ensembles(board, {row.key: records}, lambda record: scores[record.seed], TestRows(labels))
    assert (found.display_name, found.seeds) == ("A", [1, 2])
    assert found.test["AUC"] == 1.0
    assert found.gains["AUC"] == pytest.approx(0.25)
    assert found.test["logloss"] == pytest.approx(-np.log([0.65, 0.65, 0.7, 0.7]).mean())


@pytest.fixture
def ran(workspace):
    """The suite of two models and two seeds, finished."""
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]

    def call(*arguments):
        result = CliRunner().invoke(main, [*places, *arguments])
        return result.exit_code, result.output

    code, output = call("run", "tiny_suite", "--jobs", "1", "--threads", "1")
    assert code == 0, output
    return workspace, call


def test_the_table_below_a_board_is_that_of_the_stored_predictions(ran):
    workspace, call = ran
    suite = load_suite(workspace.configs, "tiny_suite")
    before = {path: path.read_text() for path in (workspace.results / "leaderboards").iterdir()}
    code, output = call("leaderboard", "tiny_suite", "--ensembles")
    assert code == 0, output
    assert "not ranked among them" in output
    assert before.items() <= {p: p.read_text() for p in (workspace.results / "leaderboards").iterdir()}.items()
    with (workspace.results / "leaderboards" / "tiny_suite.ensembles.csv").open() as file:
        rows = {row["mean_of_seeds"]: row for row in csv.DictReader(file)}
    labels = read_columns(next(workspace.dataset_folder("tiny").glob("*/test")))["label"]
    (board,) = suite_boards(suite, workspace)
    for row in board.ranked():
        predictions = []
        for seed in (1, 2):
            with h5py.File(workspace.run_folder("tiny", row.experiment, seed) / "predictions.h5") as file:
                predictions.append(file["y_pred"][:].astype(float))
        auc = roc_auc_score(labels, (predictions[0] + predictions[1]) / 2)
        found = rows[row.display_name]
        assert float(found["test_AUC"]) == pytest.approx(auc, abs=1e-12)
        assert float(found["gain_AUC"]) == pytest.approx(auc - row.test["AUC"].mean, abs=1e-12)
        assert float(found["test_AUC_low"]) < auc < float(found["test_AUC_high"])
        assert found["seeds"] == "1 2"
    assert call("leaderboard", "tiny_suite", "--ensembles", "--format", "md")[0] == 2


def test_of_one_seed_values_and_intervals_are_those_of_the_board(ran):
    workspace, call = ran
    code, output = call("leaderboard", "tiny_suite", "--seeds", "1", "--ensembles")
    assert code == 0, output
    suite = load_suite(workspace.configs, "tiny_suite")
    (board,) = suite_boards(suite.__class__(**{**vars(suite), "seeds": [1]}), workspace)
    for found, row in zip(board_ensembles(board, workspace), board.ranked(), strict=True):
        assert found.display_name == row.display_name
        for name in board.metrics:
            assert found.test[name] == row.test[name].mean
            assert found.gains[name] == 0
            assert found.intervals[name].low == pytest.approx(row.intervals[name].low, rel=1e-5)
            assert found.intervals[name].high == pytest.approx(row.intervals[name].high, rel=1e-5)


def test_a_suite_may_ask_for_them_and_without_labels_there_are_none(ran, monkeypatch):
    workspace, call = ran
    path = workspace.configs / "suites" / "tiny_suite.yaml"
    assert "Seed ensembles" not in call("leaderboard", "tiny_suite")[1]
    path.write_text(path.read_text() + "ensembles: true\n")
    assert call("leaderboard", "tiny_suite")[1].count("# Seed ensembles") == 1
    assert call("leaderboard", "tiny_suite", "--ensembles")[1].count("# Seed ensembles") == 1
    monkeypatch.setattr("fuxi_plugins.reporting.ensembles.find_test_rows", lambda *_: None)
    code, output = call("leaderboard", "tiny_suite")
    assert (code, "No seed ensembles: seed ensembles need the test labels" in output) == (0, True)
    (board,) = suite_boards(load_suite(workspace.configs, "tiny_suite"), workspace)
    with pytest.raises(UserError, match="need the test labels of tiny.*fuxibench data prepare tiny"):
        board_ensembles(board, workspace)
