"""Evidence: what labels say about certainty, kept without them."""

from dataclasses import replace

import numpy as np
import pytest

from fuxi_plugins.analysis.compare import compare
from fuxi_plugins.analysis.evidence import Evidence, measure_evidence, read_evidence, render_evidence
from fuxi_plugins.analysis.leaderboard import Cell, build_leaderboard
from fuxi_plugins.analysis.statistics.influence import auc_influence
from fuxi_plugins.analysis.uncertainty import with_certainty
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.notes import tie_sentence
from tests.analysis.make import record

ROWS = 4000


@pytest.fixture(scope="module")
def world():
    """Labels, and the scores of three models over three seeds: A and B alike, C far worse."""
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, ROWS).astype(float)
    shared = random.normal(size=ROWS)
    strengths = {"A": 1.50, "B": 1.48, "C": 0.5}
    scores = {
        (name, seed): 1 / (1 + np.exp(-(strength * (labels - 0.5) + shared + 0.3 * random.normal(size=ROWS))))
        for name, strength in strengths.items()
        for seed in (1, 2, 3)
    }
    return labels, scores


def make_runs(world, groups=None):
    labels, scores = world
    names = ["AUC", "logloss"] + (["gAUC"] if groups is not None else [])
    runs = {}
    for (name, seed), values in scores.items():
        metrics = evaluate_metrics(labels, values, names, groups)
        runs.setdefault(f"{name}_toy", []).append(record(name, seed, metrics={"valid": metrics, "test": metrics}))
    return runs


def measure(world, runs, groups=None):
    labels, scores = world
    digests = {name: {str(r.seed): f"{name}{r.seed}" for r in listed} for name, listed in runs.items()}
    return measure_evidence(runs, digests, lambda r: scores[r.preset, r.seed], labels, groups)


def make_board(runs, evidence, tmp_path, **settings):
    records = [r for listed in runs.values() for r in listed]
    cells = [Cell("toy", r.experiment, r.preset, r.seed) for r in records]
    return with_certainty(build_leaderboard("toy", records, cells, tmp_path, **settings), evidence)


def test_a_board_says_what_is_separable(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, measure(world, runs), tmp_path)
    assert [row.rank_range for row in board.rows] == [(1, 2), (1, 2), (3, 3)]
    assert board.ties == [(1, 2)]
    assert tie_sentence(board) == "Not separable: ranks 1–2 (Holm's procedure over all pairs, level 5%)."
    text = render(board, "Title", "md")
    assert "| 1 (1–2) |" in " ".join(text.split())
    assert "Smallest detectable difference: 0.0" in text
    row = board.rows[0]
    assert row.intervals["AUC"].low < row.test["AUC"].mean < row.intervals["AUC"].high
    latex = render(board, "Title", "tex")
    assert latex.count("$^{*}$ &") == 2  # the models not separable from the first
    assert latex.count(r"\textbf") == 2  # the best AUC and the best logloss


def test_ranks_by_logloss_are_told_apart_the_right_way_round(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, measure(world, runs), tmp_path, rank_by="logloss")
    assert [row.preset for row in board.rows][2] == "C"
    assert [row.rank_range for row in board.rows][2] == (3, 3)


def test_without_evidence_the_noise_between_seeds_is_all_that_is_known(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, None, tmp_path)
    narrower = board.rows[0].intervals["logloss"]
    assert narrower
    assert "the noise between seeds only" in render(board, "Title", "md")


def test_one_seed_and_no_labels_leave_no_interval(tmp_path):
    runs = {"A_toy": [record("A", 1, 0.7)], "B_toy": [record("B", 1, 0.8)]}
    board = make_board(runs, None, tmp_path)
    assert board.rows[0].intervals == {}
    assert board.ties == [(1, 2)]
    text = render(board, "Title", "md")
    assert "One seed only, whose noise no interval knows: B, A." in text


def test_no_interval_reaches_beyond_what_a_metric_can_be(tmp_path):
    values = {1: {"AUC": 0.99, "logloss": 0.02}, 2: {"AUC": 0.5, "logloss": 1.5}}
    runs = {"A_toy": [record("A", seed, metrics={"valid": v, "test": v}) for seed, v in values.items()]}
    intervals = make_board(runs, None, tmp_path).rows[0].intervals
    assert (intervals["AUC"].low, intervals["AUC"].high) == (0, 1)
    assert intervals["logloss"].low == 0
    assert intervals["logloss"].high > 1.5


def test_a_row_of_one_seed_has_the_usual_noise_of_the_others(tmp_path):
    several = {"A": (0.70, 0.71, 0.72), "B": (0.80, 0.81, 0.82), "C": (0.90, 0.91, 0.92)}
    runs = {f"{name}_toy": [record(name, s, auc) for s, auc in enumerate(aucs)] for name, aucs in several.items()}
    runs["D_toy"] = [record("D", 0, 0.76)]
    board = make_board(runs, None, tmp_path)
    intervals = {row.preset: row.intervals["AUC"] for row in board.rows}
    # The deviations are all 0.01, so they are one of 6 degrees of freedom, of which Student's t is 2.447.
    for name, seeds in {**dict.fromkeys("ABC", 3), "D": 1}.items():
        assert intervals[name].high - intervals[name].low == pytest.approx(2 * 2.44691 * 0.01 / seeds**0.5, rel=1e-5)
    assert "One seed only, whose noise is taken to be as usual on this board: D." in render(board, "Title", "md")


def test_a_row_of_one_seed_learns_nothing_from_rows_without_noise(tmp_path):
    runs = {f"{name}_toy": [record(name, s, 0.75) for s in (1, 2, 3)] for name in "ABC"}
    runs["D_toy"] = [record("D", 1, 0.76)]
    board = make_board(runs, None, tmp_path)
    assert {row.preset: row.intervals.get("AUC") for row in board.rows}["D"] is None
    assert "One seed only, whose noise no interval knows: D." in render(board, "Title", "md")


def test_evidence_survives_a_file_and_covers_only_the_predictions_it_is_of(world, tmp_path):
    runs = make_runs(world)
    evidence = measure(world, runs)
    path = tmp_path / "toy.statistics.json"
    path.write_text(render_evidence(evidence))
    assert read_evidence(path) == evidence
    assert read_evidence(tmp_path / "none.json") is None
    fingerprint = runs["A_toy"][0].data.fingerprint
    some = {"A_toy": evidence.predictions["A_toy"]}
    assert evidence.covers(fingerprint, some)
    assert not evidence.covers("0" * 64, some)
    assert not evidence.covers(fingerprint, {"A_toy": {**some["A_toy"], "2": "another file"}})
    assert not evidence.covers(fingerprint, {"A_toy": {"1": some["A_toy"]["1"]}})


def test_evidence_holds_no_labels(world):
    runs = make_runs(world)
    assert len(render_evidence(measure(world, runs))) < 3000  # 4,000 rows would not fit


def test_a_file_that_is_no_evidence(tmp_path):
    path = tmp_path / "toy.statistics.json"
    path.write_text("{}")
    with pytest.raises(UserError, match="does not hold the statistics of a board"):
        read_evidence(path)


def test_covariances_are_those_of_the_means_over_seeds(world):
    labels, scores = world
    runs = make_runs(world)
    covariance = measure(world, runs).covariance("AUC", ["B_toy", "A_toy"])
    mean = {name: np.mean([auc_influence(labels, scores[name, s])[1] for s in (1, 2, 3)], axis=0) for name in "AB"}
    assert covariance[0, 1] == pytest.approx(mean["A"] @ mean["B"], rel=1e-5)
    assert covariance[0, 0] < mean["B"] @ mean["B"]  # the seeds' own noise is left out


def test_a_record_whose_metric_is_not_its_predictions_is_refused(world):
    runs = make_runs(world)
    wrong = runs["B_toy"][1]
    metrics = {**wrong.metrics, "test": {**wrong.metrics["test"], "AUC": wrong.metrics["test"]["AUC"] + 0.001}}
    runs["B_toy"][1] = wrong.model_copy(update={"metrics": metrics})
    with pytest.raises(UserError, match=r"B_toy seed 2 says test AUC 0\.\d+, but its predictions give"):
        measure(world, runs)


def test_rows_of_one_group_widen_the_intervals(world, tmp_path):
    labels, scores = world
    random = np.random.default_rng(1)
    groups = np.repeat(np.arange(ROWS // 20), 20)
    shift = random.normal(0, 2, ROWS // 20)[groups]  # users that a model is right or wrong about altogether
    moved = {key: 1 / (1 + np.exp(-(np.log(s / (1 - s)) + shift * (labels - 0.5)))) for key, s in scores.items()}
    runs = make_runs((labels, moved), groups)
    wide = make_board(runs, measure((labels, moved), runs, groups), tmp_path)
    narrow = make_board(make_runs((labels, moved)), measure((labels, moved), make_runs((labels, moved))), tmp_path)
    width = [b.rows[0].intervals["AUC"].high - b.rows[0].intervals["AUC"].low for b in (wide, narrow)]
    assert width[0] > 1.5 * width[1]
    assert "200 groups of test rows" in render(wide, "Title", "md")
    assert wide.rows[0].intervals["gAUC"]


def test_a_comparison_is_one_sentence(world):
    runs = make_runs(world)
    evidence = measure(world, runs)
    better = compare(runs["A_toy"], runs["C_toy"], "AUC", evidence)
    assert better.told_apart
    assert better.sentence.startswith("On toy, A is better than C: +0.")
    assert "3 of 3 shared seeds won" in better.sentence
    assert better.interval.low < better.effect < better.interval.high
    assert f"p = {better.p:.2g}; " in better.sentence
    assert "p < 1e-06; " in replace(better, p=1e-7).sentence
    worse = compare(runs["C_toy"], runs["A_toy"], "logloss", evidence)
    assert worse.effect > 0
    assert "C is worse than A" in worse.sentence
    assert worse.seeds_won == 0
    alike = compare(runs["A_toy"], runs["B_toy"][:1], "AUC", None)
    assert "A is not told apart from one seed of B" in alike.sentence
    assert alike.seeds_shared == 1
    assert len(alike.caveats) == 2


def test_a_metric_that_was_not_measured_has_no_covariance():
    evidence = Evidence(
        dataset="toy", fingerprint="f", rows=4, groups=None, predictions={}, sampling={}, calibration={}
    )
    assert evidence.covariance("gAUC", []) is None
