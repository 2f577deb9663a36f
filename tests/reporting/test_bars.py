"""The forms of BARS and FuxiCTR, checked against lines that those projects have published."""

import csv
import io
import re

import yaml

from fuxi_plugins.analysis.leaderboard import Cell
from fuxi_plugins.analysis.ranking import build_leaderboard
from fuxi_plugins.records.parts import Machine
from fuxi_plugins.reporting.bars import Origin, folder_name, leaderboard_csv, result_folder, result_line
from tests.analysis.make import record

# As BARS's DCN_frappe_x1 has it.
PUBLISHED = (
    " 20220118-110552,[command] python run_expid.py --version pytorch --config x --expid DCN_frappe_x1_013_efa58c31 "
    "--gpu 1,[exp_id] DCN_frappe_x1_013_efa58c31,[dataset_id] frappe_x1_04e961e9,[train] N.A.,[val] AUC: 0.984547 - "
    "logloss: 0.150780,[test] AUC: 0.983907 - logloss: 0.152660"
)
FORM = re.compile(
    r" (\d{8}-\d{6}),\[command\] python (?:scripts/)?run_expid\.py .*,"
    r"\[exp_id\] (\S+),\[dataset_id\] (\S+),\[train\] N\.A\.,"
    r"\[val\] AUC: (\d\.\d{6}) - logloss: (\d\.\d{6}),\[test\] AUC: (\d\.\d{6}) - logloss: (\d\.\d{6})"
)


def test_the_result_line_has_fuxictrs_form():
    assert FORM.fullmatch(PUBLISHED)
    found = FORM.fullmatch(result_line(record("A", 1, test=0.75, valid=0.7)))
    assert found.groups() == ("20260101-000000", "A_toy", "toy", "0.700000", "0.300000", "0.750000", "0.250000")


def test_the_result_line_has_every_label_and_the_mean_as_fuxictrs_multi_task_models_have():
    one = record("A", 1, test=0.75, valid=0.7)
    card = one.data.model_copy(update={"label": "click", "further_labels": ["buy"]})
    further = {"buy": {split: {"AUC": 0.6, "logloss": 0.5} for split in ("valid", "test")}}
    line = result_line(one.model_copy(update={"data": card, "further_metrics": further}))
    of_each = "click_AUC: 0.750000 - click_logloss: 0.250000 - buy_AUC: 0.600000 - buy_logloss: 0.500000"
    assert line.endswith(f",[test] {of_each} - AUC: 0.675000 - logloss: 0.375000")
    assert "[val] click_AUC: 0.700000" in line


def test_the_leaderboard_has_barss_columns(tmp_path):
    records = [record("A", 1, 0.7), record("A", 2, 0.72), record("B", 1, failed="x")]
    cells = [Cell("toy", r.experiment, r.display_name, r.seed) for r in records]
    board = build_leaderboard("toy", records, cells, tmp_path)
    text = leaderboard_csv(board, {"A": Origin("2020", "KDD'20", "https://doi.org/1")}, "us")
    assert text.splitlines()[0] == "Year,Publication,Model,Paper URL,AUC,Logloss,Running Steps,Contributor"
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["Year"], row["Publication"], row["Model"], row["AUC"]) == ("2020", "KDD'20", "A", "0.710000")
    assert row["Running Steps"] == "A_toy/README.md"


def test_the_folder_has_barss_files():
    machine = Machine(device="cpu", processor="x86", threads=1, versions={"torch": "2.13.0"})
    runs = [record("A+", s, 0.7 + s / 100, machine=machine, commit="abc") for s in (1, 2, 3)]
    files = result_folder(runs)
    assert set(files) == {"README.md", "environments.txt", "results.csv", "model_config.yaml"}
    assert "| Avg | 0.720000 | 0.280000 |" in re.sub(" +", " ", files["README.md"])
    assert "| Std | 0.01000000 |" in re.sub(" +", " ", files["README.md"])
    for heading in ("Environments", "Dataset", "Code", "Results", "Logs"):
        assert f"### {heading}\n" in files["README.md"]
    lines = files["results.csv"].splitlines()
    assert [line.partition(",")[0] for line in lines] == ["seed=1", "seed=2", "seed=3"]
    assert all(FORM.fullmatch(line.partition(",")[2]) for line in lines)
    assert yaml.safe_load(files["model_config.yaml"])["A+_toy"]["dataset_id"] == "toy"
    assert "torch: 2.13.0" in files["environments.txt"]


def test_a_name_becomes_a_folder_inside_the_folder():
    assert folder_name("AutoInt+", "toy") == "AutoInt+_toy"
    assert "/" not in folder_name("../../x", "toy")
