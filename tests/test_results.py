"""The committed results: what the tables say is what the records and the configs say."""

import json
import subprocess
from pathlib import Path

import pytest

from fuxi_plugins.analysis.ledger import build_ledger
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.experiments.catalogue import load_experiment_config, load_experiment_configs
from fuxi_plugins.experiments.experiment import ExperimentConfig, resolve
from fuxi_plugins.experiments.suite import find_suite, suite_names
from fuxi_plugins.records.record import read_record
from fuxi_plugins.reporting.boards import suite_boards
from fuxi_plugins.reporting.formats import FORMATS, render
from fuxi_plugins.reporting.ledger import render_ledger
from fuxi_plugins.reporting.site.gather import sentences
from tests.conftest import ROOT

WORKSPACE = Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")


def committed(*patterns: str) -> list[Path]:
    """The files under ``results`` that the project ships; what a user has run since is the user's."""
    if not (ROOT / ".git").exists():  # an unpacked archive does not say what was shipped
        return []
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--", *(f"results/{pattern}" for pattern in patterns)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in sorted(listed.stdout.split("\0")) if name]


BOARDS = [path.stem for path in committed("leaderboards/*.md")]
EXPERIMENTS = load_experiment_configs(WORKSPACE.configs)
RECORDS = [read_record(path) for path in committed("runs/*/record.json")]


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_what_its_records_say(name):
    suite_name, _, dataset = name.partition("-")  # a suite of several datasets has a board for each
    suite = find_suite(suite_name, WORKSPACE)
    (board,) = (board for board in suite_boards(suite, WORKSPACE) if dataset in ("", board.dataset))
    for form in FORMATS:
        path = WORKSPACE.results / "leaderboards" / f"{name}.{form}"
        assert path.read_text() == render(board, suite.title, form), path


@pytest.mark.parametrize("name", ["frappe_board", "ml100k_board"] if BOARDS else [])
def test_the_readme_shows_the_board(name):
    table = [
        line for line in (ROOT / "results" / "leaderboards" / f"{name}.md").read_text().splitlines() if "|" in line
    ]
    readme = (ROOT / "README.md").read_text().splitlines()
    assert all(line in readme for line in table)


def test_the_readme_says_what_the_runs_allow(tmp_path):
    """From what is shipped alone: without the data, and without what a user has run since."""
    shipped_files = committed("runs/*", "leaderboards/*.statistics.json")
    for path in shipped_files:
        link = tmp_path / path.relative_to(WORKSPACE.results)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    said = sentences(Workspace(WORKSPACE.configs, tmp_path, tmp_path / "no_cache"), RECORDS)
    assert len(said) == 6 or not shipped_files
    readme = (ROOT / "README.md").read_text().splitlines()
    assert all(f"- {sentence}" in readme for sentence in said)


def test_the_ledger_is_what_records_and_published_values_say():
    entries = build_ledger(RECORDS, WORKSPACE.results)
    for path in committed("ledger/ledger.*"):
        assert path.read_text() == render_ledger(entries, path.suffix[1:]), path


def test_records_were_made_by_committed_code_of_the_configs_that_are_shipped():
    for record in RECORDS:
        assert record.finished, record.experiment
        assert record.uncommitted_changes is False, record.experiment
        experiment_id, _, _ = record.experiment.partition("@")
        assert record.model == shipped(experiment_id).model


def shipped(experiment_id: str) -> ExperimentConfig:
    """An experiment's config, or one of a suite for any dataset."""
    return EXPERIMENTS.get(experiment_id) or load_experiment_config(WORKSPACE.configs, experiment_id)


def changed_settings(record, experiment_id) -> dict[str, tuple]:
    """Settings of a record that its experiment's config has otherwise today."""
    now = resolve(shipped(experiment_id)).params
    return {
        name: (value, now[part].get(name))
        for part, settings in record.params.items()
        for name, value in settings.items()
        if now[part].get(name) != value
    }


def test_the_shipped_configs_are_those_that_were_run():
    for record in RECORDS:
        if "@" not in record.experiment:
            assert not changed_settings(record, record.experiment), (record.experiment, record.seed)


@pytest.mark.parametrize("name", [name for name in suite_names(WORKSPACE.configs) if name.endswith("_tuning")])
def test_the_shipped_configs_are_those_that_validation_chose(name):
    path = WORKSPACE.results / "leaderboards" / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path.name} has not been made yet")
    for row in json.loads(path.read_text())["rows"]:
        (chosen,) = (record for record in RECORDS if record.experiment == row["experiment"])
        assert not changed_settings(chosen, row["experiment"].partition("@")[0]), row["experiment"]
