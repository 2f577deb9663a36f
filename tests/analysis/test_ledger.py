"""The ledger worked out by hand."""

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats

from fuxi_plugins.analysis.ledger import agreements, build_ledger
from fuxi_plugins.analysis.published import PublishedRuns, load_published
from fuxi_plugins.analysis.statistics.inference import infer
from fuxi_plugins.analysis.verdict import judge, why_other_data
from fuxi_plugins.records.parts import Code
from fuxi_plugins.reporting.ledger import render_ledger
from tests.analysis.make import card, record
from tests.conftest import ROOT, write


@pytest.fixture
def published(tmp_path):
    write(
        tmp_path / "published" / "published_results.csv",
        """\
        dataset,model,AUC,logloss,gAUC,source,config_ref
        Toy,A,0.7102,0.3,,BARS leaderboard (x),c
        Toy,A,0.709,0.3,,BARS run (x) somewhere (avg of 3 seeds),c
        Toy,YoutubeDNN,0.8,0.3,,BARS leaderboard (x),c
        Toy,DNN,0.800123,0.3,,BARS run (x) somewhere (single run),c
        Toy,B,0.8,0.3,,BARS leaderboard (x),c
        Toy,MLP,0.79,0.3,,arXiv:1,c
        Toy,Grid,0.5,0.3,,"BARS run (x) (avg of 27 grid points, not seeds)",c
        TaobaoAd_x1,A,0.65,,,arXiv:1,c
        """,
    )
    write(
        tmp_path / "published" / "published_seed_runs.csv",
        """\
        dataset,model,run,AUC,logloss,gAUC,bars_dir
        Toy,A,1,0.7102,0.30,,d
        Toy,A,2,0.7080,0.31,,d
        Toy,A,3,0.7088,0.29,,d
        """,
    )
    return tmp_path


def ours(display_name, values, **changes):
    data = card(published_as="Toy")
    return [record(display_name, seed, value, data=data, **changes) for seed, value in enumerate(values, 1)]


def cells(records, results, metric="AUC"):
    return {(e.dataset, e.model): e for e in build_ledger(records, results, metric)}


def test_a_cell_with_several_published_runs(published):
    entry = cells(ours("A", [0.708, 0.710, 0.712]), published)["Toy", "A"]
    assert (entry.bars, entry.bars_best, entry.bars_runs) == (0.7102, 0.7102, 3)
    assert entry.bars_mean == pytest.approx(0.709)
    assert entry.gap == pytest.approx(0.001)
    assert entry.ours.interval.low == pytest.approx(stats.t.interval(0.95, 2, 0.71, 0.002 / 3**0.5)[0], abs=5e-5)
    assert entry.verdict.word == "reproduced"
    assert "3 seeds of ours, 3 published runs" in entry.verdict.reason
    assert entry.verdict.reason.endswith(
        "no number of seeds of ours shows a gap of 0.001: the published runs differ too much"
    )


def test_names_of_one_model_in_several_tables_meet(published):
    entry = cells(ours("DNN", [0.81, 0.8102, 0.8104]), published)["Toy", "DNN"]
    assert (entry.paper, entry.bars, entry.bars_runs) == (0.79, 0.800123, 1)
    assert entry.verdict.word == "above"
    assert "one published run" in entry.verdict.reason


def test_reproduced_says_how_many_seeds_would_show_a_gap_that_matters():
    values, published = [0.8000, 0.8004, 0.7996], PublishedRuns((0.80000, 0.80001, 0.79999, 0.80001, 0.79999))
    reason = judge(values, published.mean, published).reason
    wanted = next(
        n for n in range(2, 200)
        if (stats.t.ppf(0.975, n - 1) + stats.t.ppf(0.8, n - 1)) * 0.0004 / n**0.5 <= 0.001 - 3e-5  # theirs adds little
    )  # fmt: skip
    assert reason.endswith(f"about {wanted} seeds of ours would show a difference of 0.001")
    few = judge([0.8, 0.80001, 0.79999], published.mean, published).reason
    assert few.endswith("the seeds at hand would have shown a difference of 0.001")


def test_lowest_logloss_is_the_best(published):
    assert cells([], published, "logloss")["Toy", "A"].bars_best == 0.29


def test_cells_that_were_not_run_or_not_published_are_shown(published):
    found = cells(ours("New", [0.7, 0.7]), published)
    assert found["Toy", "New"].verdict.word == "not published"
    assert found["Toy", "A"].verdict.word == "not run"
    assert found["TaobaoAd_x1", "A"].valid_is_test
    assert not found["Toy", "A"].valid_is_test
    assert ("Toy", "Grid") not in found


@pytest.mark.parametrize("role", ["trial", "study"])
def test_what_a_run_is_for_decides_and_not_how_its_experiment_is_spelt(published, role):
    assert cells(ours("A", [0.9], role=role), published)["Toy", "A"].ours is None
    mine = cells(ours("A", [0.9], experiment="A@home_matched"), published)["Toy", "A"].ours
    assert mine.experiment == "A@home_matched"


def test_the_agreement_of_a_dataset_is_that_of_gaps_and_orders(published):
    measured = [*ours("A", [0.7115]), *ours("B", [0.802]), *ours("DNN", [0.801]), *ours("New", [0.9])]
    entries = build_ledger(measured, published)
    (found,) = agreements(entries)
    assert (found.dataset, found.models) == ("Toy", 3)
    assert found.median_gap == pytest.approx(0.002)
    assert found.spearman == pytest.approx(0.5)  # published: A, B, DNN
    assert agreements(entry for entry in entries if entry.model != "A") == []
    assert "3 models have both a published value and ours. The median absolute gap is 0.0020" in render_ledger(
        entries, "md"
    )


def test_other_data_is_not_comparable(published):
    data = card(published_as="Toy")
    records = [record("A", s, 0.7, data=data, dataset="toy_again") for s in (1, 2)]
    verdict = cells(records, published)["Toy", "A"].verdict
    assert (verdict.word, verdict.reason) == ("not comparable", "toy_again is not Toy row by row")
    assert why_other_data("criteo_x1", "Criteo_x1") == ""


def test_the_noise_is_that_of_one_more_run_or_of_two_means():
    values = [0.698, 0.699, 0.700, 0.701, 0.702]
    half_width = float(stats.t.ppf(0.975, 4)) * float(np.std(values, ddof=1)) * (1 + 1 / 5) ** 0.5
    assert judge(values, 0.7 - 0.999 * half_width, None).word == "reproduced"
    assert judge(values, 0.7 - 1.001 * half_width, None).word == "above"
    assert judge(values, 0.7 + 1.001 * half_width, None).word == "below"
    assert judge([0.7], 0.7, None).word == "not comparable"


@pytest.mark.parametrize("shift", [0.0, 0.002, 0.003, 0.004, 0.005, 0.02])
def test_published_runs_are_judged_as_a_board_judges_a_pair(shift):
    ours, theirs = [0.699, 0.7, 0.701], [0.701 + shift, 0.703 + shift, 0.702 + shift]
    rows = {name: dict(enumerate(values)) for name, values in {"ours": ours, "theirs": theirs}.items()}
    significant = infer(rows).difference("ours", "theirs").significant
    assert (judge(ours, 0.9, PublishedRuns(theirs)).word == "below") == significant


def test_the_noise_of_published_runs_has_their_own_degrees_of_freedom():
    ours, theirs = [0.699, 0.701, 0.700, 0.702], [0.70, 0.71]
    parts = [(float(stats.t.ppf(0.975, len(v) - 1)) ** 2) * float(np.var(v, ddof=1)) / len(v) for v in (ours, theirs)]
    assert f"noise between seeds ±{sum(parts) ** 0.5:.5f}" in judge(ours, 0.9, PublishedRuns(theirs)).reason


def test_runs_of_edited_code_are_measured_apart(published):
    edited = Code(model="revision 2", training="revision 1")
    records = [
        *ours("A", [0.70, 0.71]),
        *(r.model_copy(update={"seed": r.seed + 5}) for r in ours("A", [0.8, 0.82], code=edited)),
    ]
    entries = [e.ours.values for e in build_ledger(records, published) if (e.dataset, e.model) == ("Toy", "A")]
    assert entries == [[0.70, 0.71], [0.8, 0.82]]


def test_values_that_differ_by_rounding_alone_are_reproduced():
    assert judge([0.70004] * 3, 0.7, None).word == "reproduced"
    assert judge([0.70006] * 3, 0.7, None).word == "above"


def test_every_format_holds_every_cell(published):
    entries = build_ledger(ours("A|<b>", [0.7, 0.71]), published)
    rows = list(csv.DictReader(io.StringIO(render_ledger(entries, "csv"))))
    plain = json.loads(render_ledger(entries, "json"))
    assert len(rows) == len(plain) == len(entries)
    assert rows[0]["model"] == "A|<b>"
    text = render_ledger(entries, "md")
    assert text.count("\n|") == len(entries) + 2
    assert r"A\|&lt;b>" in text
    with pytest.raises(ValueError, match="md, csv, json"):
        render_ledger(entries, "tex")


def test_an_empty_ledger_is_a_ledger():
    assert render_ledger([], "csv").strip() == ""
    assert json.loads(render_ledger([], "json")) == []
    assert "ledger" in render_ledger([], "md")


def test_the_published_tables_are_read_whole():
    rows = load_published(ROOT / "results")
    assert len(rows) == 779
    assert all(row.metrics and row.source for row in rows)
