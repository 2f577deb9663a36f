"""What ``fuxibench across`` writes."""

import csv
import re
from dataclasses import replace

import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.across import across
from fuxi_plugins.analysis.tradeoff import tradeoff
from fuxi_plugins.cli.main import main
from fuxi_plugins.records.metrics import find_metric
from fuxi_plugins.records.parts import Machine
from fuxi_plugins.reporting.across import summary, write_across
from tests.analysis.make import board_of, record, suite_board
from tests.conftest import ROOT


@pytest.fixture
def found(tmp_path):
    values = {name: [0.6 + place / 20, 0.601 + place / 20] for place, name in enumerate(["$A_1$ x", "B", "C"])}
    boards = [suite_board(f"d{number}", values, tmp_path) for number in range(3)]
    return across(boards, find_metric("AUC"))


def test_files_and_figures_are_whole(found, tmp_path):
    written = write_across(found, tradeoff(found, "parameters"), tmp_path / "out")
    assert sorted(path.name for path in written) == sorted(path.name for path in (tmp_path / "out").iterdir())
    figures = [path for path in written if path.suffix in (".png", ".svg")]
    assert len(figures) == 8
    for path in figures:
        assert path.stat().st_size > 2000, path
    svg = (tmp_path / "out" / "critical-differences.svg").read_text()
    assert "$A_1$ x" in svg, "dollars are no mathematics"
    assert "Nemenyi" not in svg  # whose critical difference is not what bars of Wilcoxon's test are drawn by
    again = write_across(found, tradeoff(found, "parameters"), tmp_path / "again")
    assert [path.read_bytes() for path in written] == [path.read_bytes() for path in again]


def test_what_was_changed_after_the_runs_is_said(found, tmp_path):
    assert "⚠" not in summary(found, tradeoff(found, "parameters"))
    boards = [suite_board(name, {"A": [0.7], "B": [0.6]}, tmp_path) for name in ("d0", "d1")]
    changed = replace(boards[1], board=replace(boards[1].board, outdated=("The data of d1 were changed.",)))
    found = across([boards[0], changed], find_metric("AUC"))
    assert "- ⚠ The data of d1 were changed." in summary(found, tradeoff(found, "parameters"))


def test_bars_of_nemenyis_test_stand_beside_its_critical_difference(found, tmp_path):
    by_nemenyi = replace(found, test="nemenyi")
    write_across(by_nemenyi, tradeoff(by_nemenyi, "parameters"), tmp_path)
    svg = (tmp_path / "critical-differences.svg").read_text()
    assert f"Nemenyi's critical difference: {found.critical_difference:.2f}" in svg


def test_the_csv_files_hold_the_numbers(found, tmp_path):
    write_across(found, tradeoff(found, "parameters"), tmp_path)
    with (tmp_path / "models.csv").open(newline="") as file:
        models = list(csv.DictReader(file))
    assert [row["model"] for row in models] == found.models == ["C", "B", "$A_1$ x"]
    assert [float(row["average_rank"]) for row in models] == [1, 2, 3]
    assert [float(row["mean_win_rate"]) for row in models] == [1, 0.5, 0]
    assert [row["on_front"] for row in models] == ["True", "False", "False"]
    assert float(models[1]["gap_d0"]) == pytest.approx(-0.05)
    with (tmp_path / "pairs.csv").open(newline="") as file:
        pairs = list(csv.DictReader(file))
    assert [(row["a"], row["b"], row["significantly_better_a"]) for row in pairs] == [
        ("C", "B", "3"), ("C", "$A_1$ x", "3"), ("B", "$A_1$ x", "3"),
    ]  # fmt: skip
    assert {row["wilcoxon_p"] for row in pairs} == {"0.25"}


def test_the_summary_says_what_so_few_datasets_cannot_tell(found):
    text = summary(found, tradeoff(found, "parameters"))
    assert "3 datasets are too few for Wilcoxon's test of all 3 pairs, which needs 7: its p is at least 0.25." in text
    assert "One planned comparison needs 6." in text
    assert "0 of 3 pairs" in text


def test_times_of_several_machines_are_doubted(tmp_path):
    def boards(processors):
        machines = [Machine(device="cpu", processor=name, threads=1, versions={}) for name in processors]
        return [
            board_of(dataset, [record(name, 1, auc, dataset=dataset, experiment=f"{name}_{dataset}", machine=machine)
                               for name, auc in (("A", 0.8), ("B", 0.7))], tmp_path)
            for dataset, machine in zip(("one", "two"), machines, strict=True)
        ]  # fmt: skip

    def caveat(processors, cost):
        found = across(boards(processors), find_metric("AUC"))
        return tradeoff(found, cost).caveat

    assert caveat(["AMD", "AMD"], "seconds") == ""
    assert "2 kinds of machine" in caveat(["AMD", "Intel"], "seconds")
    assert caveat(["AMD", "Intel"], "parameters") == ""


def test_the_command_writes_a_folder(tmp_path):
    folders = ["--configs", str(ROOT / "benchmark_configs"), "--results", str(ROOT / "results")]
    words = [
        "across",
        "--boards",
        "frappe_board",
        "ml100k_board",
        "--models",
        "DNN",
        "FM",
        "LR",
        "--out",
        str(tmp_path),
    ]
    done = CliRunner().invoke(main, [*folders, *words])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "summary.md").read_text() in done.output
    assert re.search(r"3 models on 2 datasets \(frappe_x1r, ml100k\)", done.output)


def test_the_command_counts_two_splits_of_a_log_once(tmp_path):
    words = ["across", "--boards", "frappe_board", "ml100k_board", "ml100k_random_board", "--models", "DNN", "FM", "LR",
             "--out", str(tmp_path)]  # fmt: skip
    done = CliRunner().invoke(
        main, ["--configs", str(ROOT / "benchmark_configs"), "--results", str(ROOT / "results"), *words]
    )
    assert done.exit_code == 0, done.output
    listed = (
        "3 models on 3 datasets of 2 logs (frappe_x1r; ml100k, ml100k_random), by test AUC; logs are the independent"
    )
    assert listed in done.output
    assert "are averaged within each log first" in done.output
    assert "2 logs are too few for Wilcoxon's test" in done.output
    with (tmp_path / "datasets.csv").open(newline="") as file:
        named = {row["dataset"]: row["log"] for row in csv.DictReader(file)}
    assert named == {"frappe_x1r": "frappe_x1", "ml100k": "ml100k", "ml100k_random": "ml100k"}
    with (tmp_path / "pairs.csv").open(newline="") as file:
        assert {(row["datasets"], row["logs"]) for row in csv.DictReader(file)} == {("3", "2")}


def test_one_dataset_is_one_message(tmp_path):
    done = CliRunner().invoke(main, ["--configs", str(ROOT / "benchmark_configs"), "--results", str(ROOT / "results"),
                                     "across", "--boards", "ml100k_board", "--out", str(tmp_path)])  # fmt: skip
    assert done.exit_code == 2
    assert "at least two datasets" in done.output
