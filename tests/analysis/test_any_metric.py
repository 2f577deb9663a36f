"""Boards, comparisons, evidence and the site by every metric of the table, and by one that was added."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.compare import compare
from fuxi_plugins.analysis.comparisons import comparisons
from fuxi_plugins.analysis.evidence import TestRows, measure_evidence
from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.analysis.uncertainty import with_uncertainty
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.files import write_record
from fuxi_plugins.records.metrics import all_metrics, evaluate_metrics, find_metric
from fuxi_plugins.reporting.formats import render
from fuxi_plugins.reporting.site.addresses import board_page
from fuxi_plugins.reporting.site.build import write_site
from fuxi_plugins.reporting.site.contents import Contents, NamedBoard
from tests.analysis.make import record
from tests.records.new_metric import new_metric

NAMES = [metric.name for metric in all_metrics()]
ROWS = 3000
FORMS = ("md", "csv", "json", "tex")


def on_both_splits(metrics):
    return {"valid": metrics, "test": metrics}


def make_world(names):
    """Labels, and records of three models over three seeds: Alpha has the true probabilities, Beta nearly so, Gamma
    less and too high ones."""
    random = np.random.default_rng(0)
    truth = random.beta(1, 2, ROWS)
    labels, groups = (random.random(ROWS) < truth).astype(float), np.sort(random.integers(0, 150, ROWS))
    groups = np.unique(groups, return_inverse=True)[1]
    fields = {"user_id": random.integers(0, 6, ROWS)}
    logit, runs, scores = np.log(truth / (1 - truth)), {}, {}
    for name, noise, shift in (("Alpha", 0.1, 0.0), ("Beta", 0.15, 0.01), ("Gamma", 1.5, 0.6)):
        for seed in (1, 2, 3):
            own = 1 / (1 + np.exp(-(logit + shift + noise * random.normal(size=ROWS))))
            metrics = evaluate_metrics(labels, own, names, groups, fields)
            scores[name, seed] = own
            runs.setdefault(f"{name}_toy", []).append(record(name, seed, metrics=on_both_splits(metrics)))
    digests = {name: {r.seed: f"{name}{r.seed}" for r in listed} for name, listed in runs.items()}
    rows = TestRows(labels, groups, groups, "user", fields)
    evidence, problems = measure_evidence(runs, digests, lambda r: scores[r.display_name, r.seed], rows)
    assert not problems
    return runs, evidence


def make_board(runs, evidence, results, rank_by=None):
    records = [r for listed in runs.values() for r in listed]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    return with_uncertainty(build_leaderboard("toy", records, cells, results, rank_by), evidence)


@pytest.fixture(scope="module")
def world():
    return make_world(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_board_and_a_comparison_by_it(world, tmp_path, name):
    runs, evidence = world
    metric = find_metric(name)
    board = make_board(runs, evidence, tmp_path, name)
    assert board.rows[2].display_name == "Gamma"
    assert board.rows[2].rank_range == (3, 3)
    keys = [metric.sort_key(row.test[name].mean) for row in board.rows]
    assert keys == sorted(keys)
    for row in board.rows:
        interval = row.intervals[name]
        assert metric.bounds[0] <= interval.low < row.test[name].mean < interval.high <= metric.bounds[1]
        assert metric.sort_key(row.test[name].best) <= metric.sort_key(row.test[name].worst)
    texts = {form: render(board, "Title", form) for form in FORMS}
    assert metric.show(board.rows[0].test[name].mean) in texts["md"]
    (best,) = re.findall(r".*\\textbf\{" + re.escape(metric.show(board.rows[0].test[name].mean)), texts["tex"])
    assert best.split("&")[2].strip().startswith(board.rows[0].display_name)
    better, worse = runs["Alpha_toy"], runs["Gamma_toy"]
    assert "Alpha is significantly better than Gamma" in compare(better, worse, name, evidence).sentence
    reverse = compare(worse, better, name, evidence)
    assert "Gamma is significantly worse than Alpha" in reverse.sentence
    assert f"test {metric.compared_name} (95%" in reverse.sentence
    assert reverse.difference.interval.low < reverse.effect < reverse.difference.interval.high
    assert (reverse.effect > 0) != metric.higher_is_better
    assert reverse.seeds_won == 0


def test_models_on_either_side_of_a_target_are_compared_by_their_distance(tmp_path):
    """Alpha predicts 5% too little and Beta 10% too much: PCOC says that Alpha is better, though Beta's is higher."""
    values = {"Alpha": 0.95, "Beta": 1.10}
    runs = {
        f"{name}_toy": [record(name, s, metrics=on_both_splits({"PCOC": v + 0.001 * s})) for s in (1, 2, 3)]
        for name, v in values.items()
    }
    board = make_board(runs, None, tmp_path)
    assert [row.display_name for row in board.rows] == ["Alpha", "Beta"]
    assert [row.rank_range for row in board.rows] == [(1, 1), (2, 2)]
    assert board.rows[0].intervals["PCOC"].high < 1
    found = compare(runs["Alpha_toy"], runs["Beta_toy"], "PCOC", None)
    assert found.effect == pytest.approx(0.048 - 0.102)
    assert "Alpha is apparently better than Beta: -0.05400 test |PCOC - 1|" in found.sentence
    assert found.seeds_won == 3


def test_the_site_sorts_each_metric_in_its_own_direction(world, tmp_path):
    runs, evidence = world
    for name in ("logloss", "PCOC", "MRR"):
        board = make_board(runs, evidence, tmp_path, name)
        out = tmp_path / find_metric(name).name
        records = [r for listed in runs.values() for r in listed]
        write_site(out, Contents(boards=[NamedBoard("toy", "toy", "Toy", board)], records=records, ledger=[]))
        page = (out / board_page("toy")).read_text()
        found = re.findall(r'data-best="(\w+)"[^>]*><button type="button">([^<]+)<', page)
        best = {title: order for order, title in found}
        for metric in all_metrics():
            assert best[metric.name] == ("descending" if metric.higher_is_better else "ascending")
        row = page.split("<tbody>")[1].split("<tr data-name=")[1]
        shown = float(re.search(r'class="number" data-value="([^"]+)"', row)[1])
        assert shown == find_metric(name).compared(board.rows[0].test[name].mean)


def test_a_board_ranks_by_what_its_runs_have_measured(tmp_path):
    runs = {"A_toy": [record("A", s, metrics=on_both_splits({"MRR": 0.3})) for s in (1, 2)]}
    assert make_board(runs, None, tmp_path).rank_by == "MRR"
    with pytest.raises(UserError, match="ranked by AUC, but the records measure MRR"):
        make_board(runs, None, tmp_path, "AUC")
    with pytest.raises(UserError, match="there is no metric 'mrr'; did you mean 'MRR'"):
        make_board(runs, None, tmp_path, "mrr")


def test_rows_that_measured_more_than_others_share_what_all_have(tmp_path):
    runs = {
        "A_toy": [record("A", 1, metrics=on_both_splits({"MRR": 0.3, "AUC": 0.7, "NE": 0.9}))],
        "B_toy": [record("B", 1, metrics=on_both_splits({"AUC": 0.6, "MRR": 0.4}))],
    }
    board = make_board(runs, None, tmp_path)
    assert (board.rank_by, board.metrics) == ("AUC", ["MRR", "AUC"])


def test_a_new_metric_is_one_entry(tmp_path, workspace):
    with new_metric() as brier:
        runs, evidence = make_world(["AUC", "Brier"])
        board = make_board(runs, evidence, tmp_path, "Brier")
        assert [row.display_name for row in board.rows][2] == "Gamma"
        assert board.rows[0].intervals["Brier"].low < board.rows[0].test["Brier"].mean
        assert "Brier mean ± std" in render(board, "Title", "md")
        for listed in runs.values():
            for made in listed:
                write_record(workspace.run_folder("toy", made.experiment, made.seed), made)
        (found,) = comparisons("Gamma", "Alpha", None, "Brier", workspace)
        assert found.effect > 0
        assert brier.show_difference(found.effect) in found.sentence
        assert "Brier" in CliRunner().invoke(main, ["list", "metrics"]).output


@pytest.mark.parametrize(
    "command", ["leaderboard x --by", "compare a b --by", "report ledger --metric", "report literature --metric"]
)
def test_an_unknown_metric_is_one_clear_error(command):
    done = CliRunner().invoke(main, [*command.split(), "gauc"])
    assert done.exit_code == 2
    assert "there is no metric 'gauc'; did you mean 'gAUC'" in done.output
