"""Result folders in BARS's form become an unverified history; boards never read it."""

import json

import pandas as pd
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.files import find_records
from fuxi_plugins.reporting.bars_history import UNVERIFIED, agreement, reported
from fuxi_plugins.submissions.bars_history import read_history
from tests.conftest import ROOT, write

RESULTS = ROOT / "results"


def line(auc, valid=0.9, seed=None, experiment="DNN_frappe_x1_001_aaaaaaaa", more=""):
    said = "" if seed is None else f"seed={seed},"
    return (
        f"{said} 20220210-191950,[command] python run_expid.py --config X --expid {experiment} --gpu 0,"
        f"[exp_id] {experiment},[dataset_id] frappe_x1_04e961e9,[train] N.A.,"
        f"[val] AUC: {valid} - logloss: 0.1,[test] AUC: {auc} - logloss: 0.2{more}"
    )


@pytest.fixture
def checkout(tmp_path):
    """Three folders: one of seeds, one of a search, and one with lines that are no results."""
    folder = tmp_path / "BARS" / "ranking" / "ctr"
    seeds = [line(0.98, seed=1), line(0.984, seed=2)]
    write(folder / "DNN" / "DNN_frappe_x1" / "results.csv", "\n".join([*seeds, ",,,", ""]))
    search = [line(0.5, 0.91), line(0.6, 0.93), line(0.7, 0.92)]
    write(folder / "AutoInt" / "AutoInt+_frappe_x1" / "results.csv", "\n".join(search))
    broken = [line(0.9).replace("20220210", "20229999"), "AUC: 0.9", line(0.8, more=" - NDCG: 0.5"), "<script>"]
    write(folder / "LR" / "APG_DCNv2_frappe_x1" / "results.csv", "\n".join(broken))
    write(folder / "LR" / "APG_DCNv2_frappe_x1" / "tuner.csv", line(0.99))
    return tmp_path / "BARS"


def test_lines_become_runs_with_their_names(checkout):
    history = read_history(checkout, RESULTS)
    found = {(run.model, run.run): run for run in history.runs}
    assert {run.dataset for run in history.runs} == {"Frappe_x1"}
    dnn = found["DNN", 2]
    assert (dnn.seed, dnn.time, dnn.test, dnn.valid) == (
        2, "2022-02-10T19:19:50", {"AUC": 0.984, "logloss": 0.2}, {"AUC": 0.9, "logloss": 0.1}
    )  # fmt: skip
    assert dnn.folder == "ranking/ctr/DNN/DNN_frappe_x1"
    assert found["APG_DCNv2", 3].test == {"AUC": 0.8, "logloss": 0.2}  # what is no metric here is left out
    assert len(history.runs) == 6
    assert [text.partition("line ")[2] for text in history.unread] == [
        "1: '20229999-191950' is no time",
        "2: not FuxiCTR's line of results: 'AUC: 0.9'",
        "4: not FuxiCTR's line of results: '<script>'",
    ]


def test_seeds_are_averaged_and_of_a_search_validation_chooses(checkout):
    rows = reported(read_history(checkout, RESULTS).runs, RESULTS)["Frappe_x1"]
    assert [(row.runs[0].model, row.mean, row.configurations) for row in rows] == [
        ("DNN", pytest.approx(0.982), 1),
        ("APG_DCNv2", 0.8, 1),
        ("AutoInt+", 0.6, 3),
    ]
    assert rows[0].published == pytest.approx(0.98404, abs=1e-5)
    assert agreement(read_history(checkout, RESULTS).runs, RESULTS).startswith("0 of the 2 folders")


def test_the_command_writes_a_table_that_no_board_reads(checkout, workspace):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    arguments = [*folders, "submit", "import-bars", str(checkout)]
    done = CliRunner().invoke(main, [*arguments, "--dataset", "Frappe_x1"])
    assert done.exit_code == 0, done.output
    assert UNVERIFIED in done.output
    assert "best of 3 by validation" in done.output
    assert "left out: ranking/ctr/LR/APG_DCNv2_frappe_x1/results.csv, line 2" in done.output
    assert "6 runs in 3 folders" in done.output
    table = pd.read_csv(workspace.results / "unverified" / "bars.csv")
    assert set(table.tier) == {"unverified"}
    assert table.groupby("model").size().to_dict() == {"APG_DCNv2": 1, "AutoInt+": 3, "DNN": 2}
    assert find_records(workspace.results) == []
    assert find_records(workspace.unverified.results) == []
    listed = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert [row["seed"] for row in listed if row["model"] == "DNN"] == [1, 2]
    wrong = CliRunner().invoke(main, [*arguments, "--dataset", "Frappe_x2"])
    assert wrong.exit_code == 2
    assert "did you mean 'Frappe_x1'" in wrong.output


def test_what_report_bars_writes_can_be_read_again(tmp_path):
    folders = ["--configs", str(ROOT / "benchmark_configs"), "--results", str(RESULTS)]
    done = CliRunner().invoke(main, [*folders, "report", "bars", "frappe_board", "--out", str(tmp_path / "bars")])
    assert done.exit_code == 0, done.output
    history = read_history(tmp_path / "bars", RESULTS)
    assert history.unread == []
    fm = [run for run in history.runs if run.model == "FM"]
    assert [run.seed for run in fm] == [1, 2, 3]
    assert fm[0].dataset == "frappe_x1r"  # no published table has it
    assert sum(run.test["AUC"] for run in fm) / 3 == pytest.approx(0.96873, abs=1e-5)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"no results\.csv is below it"):
        read_history(tmp_path, RESULTS)
