"""The command line as a user meets it: every mistake is one message, exit code 2, and nothing left behind."""

import csv
import io
import json
import os
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.execution import planner, processes
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.settings import default_settings
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.models.registry import load_model_class
from fuxi_plugins.records.files import RECORD_FILE, write_record
from fuxi_plugins.records.parts import Code
from tests.analysis.make import record
from tests.conftest import ROOT


def call(workspace, *arguments):
    return CliRunner().invoke(
        main, ["--configs", str(workspace.configs), "--results", str(workspace.results), *arguments]
    )


def replace(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def edit(relative, old, new):
    return lambda folder: replace(folder / relative, old, new)


def both(*changes):
    return lambda folder: [change(folder) for change in changes]


MODELS = "benchmark_configs/model_config/tiny.yaml"
DATA = "benchmark_configs/dataset_config/tiny.yaml"
SUITE = "benchmark_configs/suites/tiny_suite.yaml"

MISTAKES = {
    "unknown suite": (None, ["run", "tiny_suit"], "no suite or experiment 'tiny_suit'; did you mean 'tiny_suite'?"),
    "unknown experiment": (None, ["run", "LR_tony"], "did you mean 'LR_tiny'?"),
    "unknown board": (None, ["leaderboard", "tiny_suit"], "did you mean 'tiny_suite'?"),
    "unknown dataset": (None, ["data", "prepare", "tinny"], "no dataset 'tinny'; did you mean 'tiny'?"),
    "unknown dataset of an experiment": (edit(MODELS, "dataset_id: tiny", "dataset_id: tinny"), ["run", "LR_tiny"], "did you mean 'tiny'?"),
    "unknown model": (edit(MODELS, "model: LR", "model: RankElaster"), ["run", "LR_tiny"], "did you mean 'RankElastor'?"),
    "unknown hyper-parameter": (edit(MODELS, "hidden_units", "hiden_units"), ["run", "tiny_suite"], "DNN has no setting 'hiden_units'; did you mean 'hidden_units'?"),
    "text for a number": (edit(MODELS, "1e-2", "quick"), ["run", "tiny_suite"], "learning_rate must be a number, but is 'quick' (text)."),
    "missing file": (lambda folder: (folder / "csv" / "valid.csv").unlink(), ["run", "LR_tiny"], "the dataset 'tiny' needs valid.csv in"),
    "missing column": (edit("csv/test.csv", "price", "prize"), ["run", "LR_tiny"], "test.csv must have the columns that the dataset 'tiny' names, but lacks price"),
    "text in a numeric column": (lambda folder: (folder / "csv" / "test.csv").open("a").write("1,2,s1,dear,\n"), ["run", "LR_tiny"], "test.csv, line 302: column 'price' must hold a number of at most 3.4e38, but holds 'dear'"),
    "a label that is no label": (lambda folder: (folder / "csv" / "test.csv").open("a").write("3,2,s1,1.0,\n"), ["run", "LR_tiny"], "test.csv, line 302: the label 'label' must be 0 or 1, but is '3'"),
    "an empty split": (lambda folder: (folder / "csv" / "valid.csv").write_text("label,user,shop,price,shops\n"), ["run", "LR_tiny"], "valid.csv must hold rows"),
    "one class": (lambda folder: (folder / "csv" / "valid.csv").write_text("label,user,shop,price,shops\n1,2,s1,1.0,s1\n"), ["run", "LR_tiny"], "every split needs both classes"),
    "tokens that do not fit": (edit(MODELS, "model: DNN\n    embedding_dim: 4\n    hidden_units: [16]", "model: RankMixer\n    num_tokens: 4\n    token_dim: 6"), ["run", "tiny_suite"], "num_tokens=4"),
    "a GPU that is not there": (None, ["run", "LR_tiny", "--gpu", "93"], "GPU 93 was asked for, but torch sees"),
    "a column of another width": (both(edit(DATA, "name: user, type: categorical, dtype: int", "name: user, type: categorical, dtype: int, feature_encoder: 'nn.Linear(4, 6, bias=False)'"), edit(MODELS, "model: DNN\n    embedding_dim: 4\n    hidden_units: [16]", "model: FM\n    embedding_dim: 4")), ["run", "DNN_tiny"], "the experiment's embedding_dim is 4, but tiny makes user 6 wide"),
    "gAUC without groups": (edit(DATA, "    group_id: group\n", ""), ["run", "LR_tiny"], "gAUC needs a group_id"),
    "wrong md5": (edit(DATA, "    data_root", "    files: {train.csv: '0123'}\n    data_root"), ["data", "import", "tiny", "--from", "FOLDER/csv"], "needs train.csv with md5 0123, but the one in"),
    "nothing to import from": (None, ["data", "import", "tiny", "--from", "FOLDER/nowhere"], "nowhere is neither"),
    "no board yet": (None, ["leaderboard", "tiny_suite"], "the board of tiny has no finished run yet; 'fuxibench run SUITE' trains its rows."),
    "a seed twice": (edit(SUITE, "seeds: [1, 2]", "seeds: [1, 1]"), ["run", "tiny_suite"], "nothing stands twice in a suite"),
    "more seeds of none": (edit(SUITE, "seeds: [1, 2]", "seeds: [1, 2]\nmore_seeds: {DN_tiny: [3]}"), ["run", "tiny_suite"], "more_seeds: the suite has no experiment 'DN_tiny'; did you mean 'DNN_tiny'?"),
    "more of the same seed": (edit(SUITE, "seeds: [1, 2]", "seeds: [1, 2]\nmore_seeds: {DNN_tiny: [3, 2]}"), ["run", "tiny_suite"], "more_seeds: DNN_tiny has seed 2 twice."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_message_exit_code_2_and_nothing_left_behind(workspace, tmp_path, mistake):
    make, arguments, message = MISTAKES[mistake]
    if make:
        make(tmp_path)
    result = call(workspace, *[argument.replace("FOLDER", str(tmp_path)) for argument in arguments])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert result.output.count("error:") == 1
    assert len(result.output.strip().splitlines()) == 1
    assert "Traceback" not in result.output
    assert not [path for path in workspace.results.rglob("*") if path.is_file()]
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


def test_a_results_folder_that_is_not_writable(workspace, tmp_path):
    (tmp_path / "results").write_text("a file in its place")
    result = call(workspace, "run", "LR_tiny")
    assert result.exit_code == 2
    assert "the results folder must be writable" in result.output


def test_a_run_from_start_to_board(workspace):
    result = call(workspace, "run", "tiny_suite", "--jobs", "2")
    assert result.exit_code == 0, result.output
    assert "0 runs finished, 4 to run" in result.output
    assert "DNN" in result.output
    boards = {path.name for path in (workspace.results / "leaderboards").iterdir()}
    assert boards == {f"tiny_suite.{form}" for form in ("md", "csv", "tex", "json", "statistics.json")}
    before = (workspace.results / "leaderboards" / "tiny_suite.md").read_bytes()

    again = call(workspace, "run", "tiny_suite")
    assert "4 runs finished, 0 to run" in again.output
    assert (workspace.results / "leaderboards" / "tiny_suite.md").read_bytes() == before
    assert call(workspace, "leaderboard", "tiny_suite", "--format", "md").output.encode() == before
    assert "gAUC" in call(workspace, "leaderboard", "tiny_suite", "--by", "gAUC").output
    of_one_seed = call(workspace, "leaderboard", "tiny_suite", "--seeds", "2").output
    assert "the seeds of the suite tiny_suite: 1, 2." in " ".join(of_one_seed.split())
    assert (workspace.results / "leaderboards" / "tiny_suite.md").read_bytes() == before


def test_the_boards_of_several_datasets_are_one_text(workspace):
    dataset, model, suite = (workspace.configs.parent / name for name in (DATA, MODELS, SUITE))
    dataset.write_text(dataset.read_text() + dataset.read_text().replace("tiny:", "other:"))
    model.write_text(model.read_text() + "LR_other: {model: LR, dataset_id: other, metrics: [AUC, logloss]}\n")
    suite.write_text("title: Two datasets\nexperiments: [LR_tiny, LR_other]\nseeds: [1]\n")
    for name in ("tiny", "other"):
        made = record("LR", dataset=name, experiment=f"LR_{name}")
        write_record(workspace.run_folder(name, f"LR_{name}", 1), made)
    boards = json.loads(call(workspace, "leaderboard", "tiny_suite", "--format", "json").output)
    assert [board["dataset"] for board in boards] == ["tiny", "other"]
    rows = list(csv.DictReader(io.StringIO(call(workspace, "leaderboard", "tiny_suite", "--format", "csv").output)))
    assert [(row["dataset"], row["experiment"]) for row in rows] == [("tiny", "LR_tiny"), ("other", "LR_other")]
    assert all(float(row["test_AUC_mean"]) == 0.7 for row in rows)
    assert json.loads(call(workspace, "leaderboard", "LR_tiny", "--format", "json").output)["dataset"] == "tiny"


ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}


# One process for all commands: each has its output's encoding, and most of their time is that of imports.
ONE_AFTER_THE_OTHER = """
import json, sys
from fuxi_plugins.cli.main import main
for arguments in json.loads(sys.argv[1]):
    try:
        main(arguments)
    except SystemExit as end:
        print("exit code", end.code, file=sys.stderr)
"""


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_commands_work_in_every_encoding_of_the_output(workspace, encoding):
    replace(workspace.configs.parent / SUITE, "Two models on tiny data", "Zwei Modelle für 小 data – ±")
    write_record(workspace.run_folder("tiny", "LR_tiny", 1), record("LR", dataset="tiny", experiment="LR_tiny"))
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    commands = (["list", "suites"], ["leaderboard", "tiny_suite"], ["leaderboard", "tiny_suite", "--format", "md"],
                ["status", "tiny_suite"], ["report", "ledger"], ["run", "té"])  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, json.dumps([[*folders, *arguments] for arguments in commands])],
        env={**os.environ, **ENCODINGS[encoding]},
        capture_output=True,
        check=False,
    )
    codes = [int(line.split()[-1]) for line in done.stderr.splitlines() if line.startswith(b"exit code")]
    assert codes == [0, 0, 0, 0, 0, 2], done.stderr
    assert b"Traceback" not in done.stderr
    if encoding != "latin-1":
        (done.stdout + done.stderr).decode("ascii")
    assert b"tiny_suite" in done.stdout
    assert ("für ? data - " if encoding == "latin-1" else "f?r ? data - +-").encode("latin-1") in done.stdout


@pytest.mark.parametrize(
    ("given", "message"), [("1,x", "whole numbers separated by commas"), ("-1", "0 or more"), ("1,1", "twice")]
)
def test_seeds_that_are_no_seeds(workspace, given, message):
    result = call(workspace, "run", "tiny_suite", "--seeds", given, "--dry-run")
    assert result.exit_code == 2
    assert message in result.output


def test_seeds_of_the_command_line(workspace):
    output = call(workspace, "run", "tiny_suite", "--seeds", "7,8,9", "--dry-run").output
    assert output.count("would run") == 6
    assert "DNN_tiny seed 9" in output


def test_a_dry_run_trains_nothing(workspace):
    result = call(workspace, "run", "tiny_suite", "--dry-run")
    assert result.output.count("would run") == 4
    assert not list(workspace.results.rglob("record.json"))


def test_a_dry_run_without_data_takes_no_run_of_other_settings_for_done(workspace):
    [experiment, _] = [resolve(config) for config in find_suite("tiny_suite", workspace).experiments]

    def dry_run(code, *arguments, params=experiment.params):
        run = record("LR", 1, experiment="LR_tiny", dataset="tiny", params=params, code=code)
        write_record(workspace.run_folder("tiny", "LR_tiny", 1), run)
        return call(workspace, "run", "tiny_suite", "--dry-run", *arguments)

    assert "3 to run" in dry_run(experiment.code).output
    usual = default_settings(load_model_class("LR"))
    of_before = {  # when the settings that are at their defaults were not there yet
        part: {name: value for name, value in said.items() if name not in usual or usual[name] != value}
        for part, said in experiment.params.items()
    }
    assert of_before != experiment.params
    assert "3 to run" in dry_run(experiment.code, params=of_before).output
    edited = Code(model="revision 0", training="revision 0")
    refused = dry_run(edited)
    assert refused.exit_code == 2
    assert "LR_tiny seed 1 has a finished run of other settings or code: code of the model revision 0" in refused.output
    assert "4 to run" in dry_run(edited, "--force").output


def test_check_finds_every_config_in_order_and_names_what_is_not(workspace):
    assert "1 datasets, 2 experiments and 1 suites are valid." in call(workspace, "check").output
    replace(workspace.configs / "model_config" / "tiny.yaml", "hidden_units", "hidden_unit")
    result = call(workspace, "check")
    assert result.exit_code == 2
    assert "did you mean 'hidden_units'?" in result.output


def test_the_shipped_configs_are_in_order():
    result = CliRunner().invoke(main, ["--configs", str(ROOT / "benchmark_configs"), "check"])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("group", [[], ["data"], ["report"], ["submit"]])
def test_every_command_is_summed_up_in_a_line_that_fits(group):
    shown = CliRunner().invoke(main, [*group, "--help"], terminal_width=78).output  # of 80, click leaves two free
    commands = shown.partition("Commands:")[2].splitlines()
    assert commands
    assert not [line for line in commands if line.endswith("...")]


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["list", "models"], ["run", "--help"]])
def test_help_and_lists_come_at_once_and_without_torch(arguments):
    code = (
        "import sys\n"
        "for name in ('torch', 'fuxictr', 'ray', 'polars', 'pandas'): sys.modules[name] = None\n"
        f"sys.argv = ['fuxibench', *{arguments!r}]\n"
        "from fuxi_plugins.cli.main import main\n"
        "main()"
    )
    started = time.process_time()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    assert time.process_time() - started < 1  # of this process; the subprocess is held by what it may not import


@pytest.mark.parametrize(
    ("options", "has_records", "begins"),
    [([], False, True), ([], True, False), (["--force"], True, True), (["--dry-run"], False, False)],
)
def test_the_server_of_runs_begins_before_the_plan_if_it_will_be_needed(
    workspace, monkeypatch, options, has_records, begins
):
    suite, order = find_suite("tiny_suite", workspace), []
    for config in suite.experiments:
        for seed in suite.seeds_of(config.id) if has_records else []:
            folder = workspace.run_folder(config.dataset_id, config.id, seed)
            folder.mkdir(parents=True)
            (folder / RECORD_FILE).touch()
    monkeypatch.setattr(processes, "begin_server", lambda threads: order.append(threads))
    monkeypatch.setattr(planner, "plan_suite", lambda *_, **__: sys.exit(order.append("plan")))
    monkeypatch.setattr("fuxi_plugins.cli.choosing.is_prepared", lambda *_: True)
    call(workspace, "run", "tiny_suite", "--threads", "3", *options)
    assert order == [3, "plan"] if begins else order == ["plan"]


def test_list_shows_what_there_is(workspace):
    output = call(workspace, "list").output
    for expected in ("RankElastor", "tiny_suite", "LR_tiny", "A tiny dataset"):
        assert expected in output
