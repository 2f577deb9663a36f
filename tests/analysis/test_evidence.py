"""Evidence: what labels say about uncertainty, kept without them."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from fuxi_plugins.analysis.compare import compare
from fuxi_plugins.analysis.evidence import TestRows, measure_evidence, read_evidence, render_evidence
from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.metrics import evaluate_metrics
from fuxi_plugins.records.metrics.ranking import auc_influence
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.notes import tie_sentence
from fuxi_plugins.reporting.terminal import print_board
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
    digests = {name: {r.seed: f"{name}{r.seed}" for r in listed} for name, listed in runs.items()}
    rows = TestRows(labels, groups, groups, "user" if groups is not None else None)
    evidence, problems = measure_evidence(runs, digests, lambda r: scores[r.display_name, r.seed], rows)
    assert not problems
    return evidence


def make_board(runs, evidence, tmp_path, **settings):
    records = [r for listed in runs.values() for r in listed]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    return with_uncertainty(build_leaderboard("toy", records, cells, tmp_path, **settings), evidence)


def test_one_group_with_both_classes_leaves_a_metric_without_sampling_error(world, tmp_path):
    """Its variance between groups is not known; the other metrics' is."""
    labels, _ = world
    groups = np.arange(ROWS) // 2
    pairs = labels.reshape(-1, 2)
    both = np.flatnonzero(pairs[:, 0] != pairs[:, 1])
    groups[np.isin(groups, both[1:])] = ROWS + np.arange(2 * len(both[1:]))  # rows of the others stand alone
    groups = np.unique(groups, return_inverse=True)[1]
    runs = make_runs(world, groups)
    evidence = measure(world, runs, groups)
    assert set(evidence.sampling) == {"AUC", "logloss"}
    assert make_board(runs, evidence, tmp_path, rank_by="gAUC").rows


def test_a_board_of_two_rows_speaks_of_the_pair(world, tmp_path):
    runs = {name: listed for name, listed in make_runs(world).items() if name != "C_toy"}
    text = " ".join(render(make_board(runs, measure(world, runs), tmp_path), "Title", "md").split())
    assert "the best by its mean (level 5%)." in text
    assert "- The pair is not decided; " in text
    assert "pairs" not in text


def test_a_board_says_what_differs(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, measure(world, runs), tmp_path)
    assert [row.rank_range for row in board.rows] == [(1, 2), (1, 2), (3, 3)]
    assert [row.letters for row in board.rows] == ["a", "a", "b"]
    first, second = board.rows[:2]
    assert tie_sentence(board) == (
        f"Not significantly different from {first.display_name}, the best by its mean: {second.display_name} "
        "(Holm's procedure over all 3 pairs, level 5%)."
    )
    text = render(board, "Title", "md")
    assert "| 1 (1–2) | a |" in " ".join(text.split())
    assert "Smallest detectable difference: 0.0" in text
    assert first.intervals["AUC"].low < first.test["AUC"].mean < first.intervals["AUC"].high
    assert json.loads(render(board, "Title", "json"))["not_significantly_different_from_best"] == [second.display_name]
    assert [row["letters"] for row in csv.DictReader(io.StringIO(render(board, "Title", "csv")))] == ["a", "a", "b"]
    console = Console(width=200, force_terminal=True, file=io.StringIO(), color_system=None)
    print_board(board, "Title", console)
    assert "letters" in console.file.getvalue()
    assert tie_sentence(board) in " ".join(console.file.getvalue().split())


def test_latex_stars_what_is_better_than_the_best_baseline(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, measure(world, runs), tmp_path)
    first, second, _ = board.rows
    plain = render(board, "Title", "tex")
    assert "$^{*}$" not in plain
    assert plain.count(r"\textbf") == 2  # the best AUC and the best logloss
    marked = [line for line in plain.splitlines() if r"$^{\dagger}$ &" in line]
    assert len(marked) == 1
    assert second.display_name in marked[0]
    latex = render(board, "Title", "tex", ["C"])
    starred = [line for line in latex.splitlines() if "$^{*}$ &" in line]
    assert [row.display_name in line for row, line in zip((first, second), starred, strict=True)] == [True, True]
    assert "% $^{*}$: significantly better than the best baseline (of C)" in latex
    assert "$^{*}$ &" not in render(board, "Title", "tex", ["C", second.display_name]), "not better than that baseline"
    with pytest.raises(UserError, match="a baseline must be a ranked row of the board, but 'D' is none of"):
        render(board, "Title", "tex", ["D"])


def test_significant_ranks_by_logloss_are_the_right_way_round(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, measure(world, runs), tmp_path, rank_by="logloss")
    assert [row.display_name for row in board.rows][2] == "C"
    assert [row.rank_range for row in board.rows][2] == (3, 3)


def test_without_evidence_the_noise_between_seeds_is_all_that_is_known(world, tmp_path):
    runs = make_runs(world)
    board = make_board(runs, None, tmp_path)
    narrower = board.rows[0].intervals["logloss"]
    assert narrower
    assert "count only the noise between seeds" in render(board, "Title", "md")


def test_one_seed_and_no_labels_leave_no_interval_and_no_verdict(tmp_path):
    runs = {"A_toy": [record("A", 1, 0.7)], "B_toy": [record("B", 1, 0.8)]}
    board = make_board(runs, None, tmp_path)
    assert board.rows[0].intervals == {}
    text = render(board, "Title", "md")
    assert "letters" not in text
    assert "too few seeds to be compared with any other row" in text
    assert "One seed only, whose noise is not known, so the row is compared with no other" in text
    found = compare(runs["A_toy"], runs["B_toy"], "AUC", None)
    assert "A is not compared with B: -0.10000 test AUC (one seed does not say how much seeds differ" in found.sentence


def test_one_seed_has_no_verdict_even_where_the_rows_are_known(world, tmp_path):
    runs = {name: listed[:1] for name, listed in make_runs(world).items()}
    evidence = measure(world, runs)
    board = make_board(runs, evidence, tmp_path)
    assert board.rows[0].intervals["AUC"]
    assert {row.rank_range for row in board.rows} == {(1, 3)}
    assert compare(runs["A_toy"], runs["C_toy"], "AUC", evidence).difference.p is None


def test_a_row_of_one_seed_has_the_usual_noise_of_the_others(tmp_path):
    several = {"A": (0.70, 0.71, 0.72), "B": (0.80, 0.81, 0.82), "C": (0.90, 0.91, 0.92)}
    runs = {f"{name}_toy": [record(name, s, auc) for s, auc in enumerate(aucs)] for name, aucs in several.items()}
    runs["D_toy"] = [record("D", 0, 0.76)]
    board = make_board(runs, None, tmp_path)
    assert "One seed only, whose noise is assumed to be as large as usual on this board: D." in render(
        board, "Title", "md"
    )
    assert all(row.letters for row in board.rows)


def test_few_positives_are_warned_of(world, tmp_path):
    labels, scores = world
    few = np.r_[np.flatnonzero(labels)[:30], np.flatnonzero(labels == 0)[:200]]
    small = labels[few], {key: values[few] for key, values in scores.items()}
    runs = make_runs(small)
    assert "The test set has only 30 rows of the rarer class" in render(
        make_board(runs, measure(small, runs), tmp_path), "Title", "md"
    )
    clustered = measure(small, runs).model_copy(update={"clusters": 7, "clustered_by": "date"})
    assert "The test set has only 7 clusters of rows (date): intervals are wide" in render(
        make_board(runs, clustered, tmp_path), "Title", "md"
    )
    many = make_runs(world)
    assert "rarer class" not in render(make_board(many, measure(world, many), tmp_path), "Title", "md")


def test_a_column_by_which_rows_should_perhaps_be_clustered_is_named(world, tmp_path):
    labels, scores = world
    random = np.random.default_rng(1)
    user = np.repeat(np.arange(ROWS // 20), 20)
    shift = random.normal(0, 2, ROWS // 20)[user]
    moved = {key: 1 / (1 + np.exp(-(np.log(s / (1 - s)) + shift * (labels - 0.5)))) for key, s in scores.items()}
    runs = make_runs((labels, moved))
    digests = {name: {r.seed: "x" for r in listed} for name, listed in runs.items()}
    columns = {"user": user, "hour": user % 24, "row": np.arange(ROWS), "chance": random.permutation(user)}
    evidence, _ = measure_evidence(
        runs, digests, lambda r: moved[r.display_name, r.seed], TestRows(labels, columns=columns)
    )
    assert list(evidence.growth) == ["user"]
    assert evidence.growth["user"] > 1.5
    said = f"increase the standard error: user ({evidence.growth['user']:g} times)"
    assert said in render(make_board(runs, evidence, tmp_path), "Title", "md")
    assert said in " ".join(compare(runs["A_toy"], runs["B_toy"], "AUC", evidence).caveats)
    clustered, _ = measure_evidence(
        runs, digests, lambda r: moved[r.display_name, r.seed], TestRows(labels, None, user, "user", columns)
    )
    assert not clustered.growth
    assert "clustered by user (200 clusters)" in render(make_board(runs, clustered, tmp_path), "Title", "md")


def test_evidence_survives_a_file_and_covers_only_the_runs_it_is_of(world, tmp_path):
    runs = make_runs(world)
    evidence = measure(world, runs)
    path = tmp_path / "toy.statistics.json"
    path.write_text(render_evidence(evidence))
    assert read_evidence(path) == evidence
    assert read_evidence(tmp_path / "none.json") is None
    fingerprint = runs["A_toy"][0].data.fingerprint
    assert evidence.covers(fingerprint, {"A_toy": runs["A_toy"]})
    assert not evidence.covers("other", {"A_toy": runs["A_toy"]})
    assert evidence.covers(fingerprint, {"A_toy": runs["A_toy"][:2]})  # its sampling errors are the experiment's
    another = record("A", seed=99, data=runs["A_toy"][0].data)
    assert not evidence.covers(fingerprint, {"A_toy": [*runs["A_toy"], another]})
    assert evidence.calibration_of("A_toy", {r.seed for r in runs["A_toy"]}) == evidence.calibration["A_toy"]
    assert evidence.calibration_of("A_toy", {runs["A_toy"][0].seed}) == {}
    assert not evidence.covers(fingerprint, {"D_toy": runs["A_toy"]})
    part = evidence.only(["C_toy", "A_toy"])
    whole = evidence.sampling_of("AUC", ["C_toy", "A_toy"]).covariance
    np.testing.assert_array_equal(part.sampling_of("AUC", ["C_toy", "A_toy"]).covariance, whole)
    path.write_text(render_evidence(evidence.model_copy(update={"method": 1})))
    assert read_evidence(path) is None, "of another method"
    path.write_text('{"dataset": "toy"}')
    assert read_evidence(path) is None, "the first method did not say its number"
    for broken in ('{"method": 2}', "no JSON"):
        path.write_text(broken)
        with pytest.raises(UserError, match="does not hold the statistics of a board"):
            read_evidence(path)


@pytest.mark.parametrize(
    ("positives", "clusters", "units"), [(30, None, 30), (70, None, 30), (30, 12, 12), (30, 90, 30), (70, 90, 30)]
)
def test_what_varies_independently_is_the_rarer_class_or_fewer_clusters(world, positives, clusters, units):
    evidence = measure(world, make_runs(world))
    changes = {"rows": 100, "positives": positives, "clusters": clusters}
    assert evidence.model_copy(update=changes).units == units


def test_covariances_come_in_the_order_asked_for(world):
    evidence = measure(world, make_runs(world))
    names = ["A_toy", "B_toy", "C_toy"]
    variances = {name: evidence.sampling_of("AUC", [name]).covariance[0, 0] for name in names}
    assert len(set(variances.values())) == 3
    for order in (names, names[::-1], ["B_toy", "C_toy", "A_toy"]):
        found = evidence.sampling_of("AUC", order).covariance.diagonal().tolist()
        assert found == [variances[name] for name in order]


def test_calibration_is_the_mean_over_seeds(world):
    labels, scores = world
    found = measure(world, make_runs(world)).calibration["A_toy"]["PCOC"]
    assert found == pytest.approx(np.mean([scores["A", seed].sum() / labels.sum() for seed in (1, 2, 3)]), rel=1e-5)


def test_covariances_are_those_of_the_means_over_seeds(world):
    labels, scores = world
    runs = make_runs(world)
    covariance = measure(world, runs).sampling_of("AUC", ["B_toy", "A_toy"]).covariance
    mean = {name: np.mean([auc_influence(labels, scores[name, s])[1] for s in (1, 2, 3)], axis=0) for name in "AB"}
    assert covariance[0, 1] == pytest.approx(mean["A"] @ mean["B"], rel=1e-5)
    assert covariance[0, 0] < mean["B"] @ mean["B"]  # the seeds' own noise is left out


def test_a_record_whose_metric_is_not_its_predictions_is_named(world):
    labels, scores = world
    runs = make_runs(world)
    runs["B_toy"][1] = changed(runs["B_toy"][1], "AUC", 0.001)
    digests = {name: {r.seed: "x" for r in listed} for name, listed in runs.items()}
    evidence, problems = measure_evidence(runs, digests, lambda r: scores[r.display_name, r.seed], TestRows(labels))
    assert list(problems) == ["B_toy"]
    assert re.search(r"B_toy seed 2 says test AUC 0\.\d+, but its predictions give", problems["B_toy"])
    assert list(evidence.runs) == ["A_toy", "C_toy"]


def changed(made, metric, by, split="test"):
    """The record with one number changed by hand."""
    metrics = {**made.metrics, split: {**made.metrics[split], metric: made.metrics[split][metric] + by}}
    return made.model_copy(update={"metrics": metrics})


@pytest.mark.parametrize(("metric", "split"), [("AUC", "test"), ("logloss", "test"), ("AUC", "valid")])
def test_one_changed_digit_is_noticed_without_labels(world, metric, split):
    runs = make_runs(world)
    evidence = measure(world, runs)
    own = runs["B_toy"][1]
    assert evidence.problem("B_toy", own, "B_toy2") == evidence.problem("B_toy", own, None) == ""
    said = evidence.problem("B_toy", changed(own, metric, 1e-12, split), "B_toy2")
    assert said.startswith(f"the record of B_toy seed 2 says {split} {metric}")
    assert "the predictions of B_toy seed 2 are not those that were measured" in evidence.problem("B_toy", own, "other")
    assert evidence.problem("D_toy", record("D", 1), "x") == "", "nothing is known of it"


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
    assert "clustered by user (200 clusters)" in render(wide, "Title", "md")
    assert wide.rows[0].intervals["gAUC"]


def test_a_comparison_is_one_sentence(world):
    runs = make_runs(world)
    evidence = measure(world, runs)
    better = compare(runs["A_toy"], runs["C_toy"], "AUC", evidence)
    assert better.difference.significant
    assert better.sentence.startswith("On toy, A is significantly better than C: +0.")
    assert "3 of 3 shared seeds won" in better.sentence
    assert better.difference.interval.low < better.effect < better.difference.interval.high
    assert f"p = {better.difference.p:.2g}; " in better.sentence
    tiny = replace(better, difference=replace(better.difference, p=1e-7))
    assert "p < 1e-06; " in tiny.sentence
    worse = compare(runs["C_toy"], runs["A_toy"], "logloss", evidence)
    assert worse.effect > 0
    assert "C is significantly worse than A" in worse.sentence
    assert worse.seeds_won == 0
    alike = compare(runs["A_toy"], runs["B_toy"], "AUC", None)
    assert "A is not significantly different from B" in alike.sentence
    assert len(alike.caveats) == 1
    on_board = compare(runs["A_toy"], runs["C_toy"], "AUC", evidence, runs, "toy_board")
    assert "adjusted for the 3 pairs of toy_board" in on_board.sentence
    assert on_board.difference.adjusted_p >= on_board.difference.p


def test_a_metric_that_was_not_measured_has_no_covariance(world):
    runs = make_runs(world)
    assert measure(world, runs).sampling_of("gAUC", []) is None
