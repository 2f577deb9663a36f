"""A new board is sized by its rows, so that no model is judged after a handful of steps."""

import math

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.analysis.training_steps import few_steps
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.yaml_files import load_yaml
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.row_counts import training_rows
from fuxi_plugins.experiments.sizing import sized_training
from tests.conftest import write_tiny_csv
from tests.training.test_runner import make_job, run


@given(st.integers(1, 10**9))
def test_every_size_of_data_gives_enough_steps(rows):
    sized = sized_training(rows)
    batch, patience = sized["batch_size"], sized["early_stop_patience"]
    assert batch in (32, 64, 128, 256, 512, 1024, 2048, 4096)
    epoch = math.ceil(rows / batch)
    assert epoch >= 100 or batch == 32
    assert batch == 4096 or batch == 32 or epoch <= 201, "no smaller than needed"
    steps = sized.get("eval_steps", epoch)
    assert steps <= min(epoch, 2500)
    assert patience >= 2
    assert patience * steps >= 500 or patience == 20


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (8_087, {"batch_size": 64, "early_stop_patience": 4}),
        (500_000, {"batch_size": 4096, "early_stop_patience": 5}),
        (5_000_000, {"batch_size": 4096, "early_stop_patience": 2}),
        (40_000_000, {"batch_size": 4096, "early_stop_patience": 2, "eval_steps": 2442}),
    ],
)
def test_sizes_worked_by_hand(rows, expected):
    assert sized_training(rows) == expected


def test_a_batch_of_the_users_stays(workspace):
    assert sized_training(8_087, 4096) == {"batch_size": 4096, "early_stop_patience": 20}


def test_the_command_sizes_by_the_files_before_they_are_prepared(workspace):
    places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    made = CliRunner().invoke(main, [*places, "new", "tiny", "--models", "LR"])
    assert made.exit_code == 0, made.output
    assert "batch_size 32, early_stop_patience 20: chosen for about 600 training rows" in made.output
    base = load_yaml(workspace.configs / "model_config" / "tiny_common.yaml")["Base"]
    assert (base["batch_size"], base["early_stop_patience"]) == (32, 20)


def test_rows_are_told_from_a_part_of_the_file(workspace, tmp_path, monkeypatch):
    monkeypatch.setattr("fuxi_plugins.datasets.row_counts._HEAD_BYTES", 20_000)
    write_tiny_csv(tmp_path / "csv" / "train.csv", rows=20_000, seed=1)
    spec = load_dataset_spec(workspace.configs, "tiny")
    assert training_rows(spec, workspace) == pytest.approx(20_000, rel=0.02)
    divided = spec.model_copy(update={"valid_data": None, "split": None})
    assert training_rows(divided.model_copy(update={"published_rows": {"train": 7}}), workspace) == 7
    (tmp_path / "csv" / "train.csv").unlink()
    assert training_rows(spec, workspace) is None


def test_a_run_of_few_steps_is_told_from_one_of_many(workspace, tmp_path):
    few = run(make_job(workspace, tmp_path / "few"))
    assert few_steps(few) == few.history[-1].step == 12
    many = run(make_job(workspace, tmp_path / "many", changes={"batch_size": 3, "epochs": 2}))
    assert few_steps(many) is None
