"""The doctor finds what was planted, and nothing in a sound workspace."""

import shutil

import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.health import row_codes, splits, versions
from fuxi_plugins.cli.main import main
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.records.files import write_record
from tests.analysis.make import record


def prepared(workspace):
    return prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)


def ill(data):
    return [finding.text for finding in splits(data) if not finding.well]


def test_sound_splits(workspace):
    assert ill(prepared(workspace)) == []


def test_files_that_are_gone_are_a_finding_and_stop_no_other(workspace):
    prepared(workspace)
    (workspace.configs.parent / "csv" / "test.csv").unlink()
    options = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*options, "doctor"])
    assert (result.exit_code, "WRONG tiny: the dataset 'tiny' needs test.csv in" in result.output) == (1, True)
    assert "records: none in this workspace yet" in result.output


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("test.csv", "valid.csv", "validation is the test set"),
        ("train.csv", "test.csv", "100.00% of the test rows are also in train"),
    ],
)
def test_splits_that_are_not_new(workspace, source, target, expected):
    folder = workspace.configs.parent / "csv"
    shutil.copyfile(folder / source, folder / target)
    assert any(text.startswith(expected) for text in ill(prepared(workspace)))


def test_codes_tell_rows_apart(workspace):
    codes = row_codes(prepared(workspace).split_folder("train"))
    assert len(np.unique(codes)) == 600  # a price to three digits makes every row its own


def test_versions_that_are_not_those_tested(tmp_path):
    pins = tmp_path / "requirements.txt"
    pins.write_text("numpy==0.0.1\nno-such-package==1\nsetuptools>=77\n")
    (finding,) = versions(pins)
    assert not finding.well
    assert "(tested with 0.0.1); no-such-package none (tested with 1)" in finding.text
    assert list(versions(None)) == []


def test_warnings_of_records_are_told(workspace):
    def call():
        folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
        return CliRunner().invoke(main, [*folders, "doctor"])

    prepared(workspace)
    assert "note" not in call().output
    warned = record(dataset="tiny", sanity_checks={"own loss is called": "never"})
    write_record(workspace.run_folder("tiny", "A_toy", 1), warned)
    result = call()
    assert result.exit_code == 0, "a result's own warning is nothing wrong with this machine"
    assert "note  A_toy seed 1: own loss is called: never" in result.output


def test_records_that_are_left_out_are_wrong(workspace):
    write_record(workspace.run_folder("tiny", "other", 1), record(dataset="tiny"))
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    result = CliRunner().invoke(main, [*folders, "doctor"])
    assert result.exit_code == 1
    assert "WRONG records:" in result.output
    assert "is a copy or was moved" in result.output
