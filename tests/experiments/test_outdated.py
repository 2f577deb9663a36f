"""What was changed after a run is known wherever its numbers are shown: config, code of the model, data."""

import pytest

from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.experiments.outdated import changed_after, changed_data, code_today
from tests.analysis.make import record


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({"epochs": 2, "optimizer": "adam"}, "epochs 1, now 2"),
        ({"epochs": 1, "hidden_units": [8, 8]}, "hidden_units [8], now [8, 8]"),
        ({"epochs": 1.0, "learning_rate": "1e-3", "net_regularizer": 0, "hidden_units": (8,)}, ""),
        ({"a_setting_of_another_name": 1}, ""),
    ],
)
def test_a_config_that_was_changed(now, said):
    training = {"epochs": 1, "learning_rate": 0.001, "net_regularizer": None, "optimizer": "adam"}
    run = record(params={"model": {"hidden_units": [8]}, "training": training})
    assert changed_after(run, now, run.code) == ([f"its config was changed ({said})"] if said else [])


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ({}, []),
        ({"model": "revision 0"}, ["its model was edited"]),
        ({"training": f"sha256:{'0' * 64}"}, ["the training code was edited"]),
    ],
)
def test_code_that_was_edited(then, said):
    today = code_today("LR")
    assert changed_after(record("LR", code=today.model_copy(update=then)), {}, today) == said


def test_code_that_cannot_be_known_or_was_never_ours_is_not_judged():
    assert code_today("a model of somebody else") is None
    other = code_today("LR").model_copy(update={"model": "revision 0"})
    assert changed_after(record("Mine", code=other), {}, None) == []
    assert changed_after(record("LR", code=other, submitted_by="Ann"), {}, code_today("LR")) == []


@pytest.fixture
def run_on_tiny(workspace):
    """A run of LR on the tiny data as they are."""
    prepared = prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    return record("LR", dataset="tiny", experiment="LR_tiny", data=prepared.card)


def test_data_that_were_not_changed(workspace, run_on_tiny):
    assert not changed_data([run_on_tiny], workspace)


def test_a_config_of_the_data_that_was_changed(workspace, run_on_tiny):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("min_categr_count: 1", "min_categr_count: 5"))
    assert changed_data([run_on_tiny], workspace)


def test_a_file_that_grew(workspace, run_on_tiny, tmp_path):
    path = tmp_path / "csv" / "train.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    assert changed_data([run_on_tiny], workspace)
    prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)
    assert changed_data([run_on_tiny], workspace)  # and once the new ones are prepared, too


def test_a_file_that_was_copied_is_the_same(workspace, run_on_tiny, tmp_path):
    path = tmp_path / "csv" / "train.csv"
    path.write_bytes(path.read_bytes())
    assert not changed_data([run_on_tiny], workspace)


def test_data_that_were_never_prepared_here_or_have_no_config_are_not_judged(workspace, run_on_tiny):
    (workspace.dataset_folder("tiny") / "raw_digests.json").unlink()
    assert not changed_data([run_on_tiny], workspace)
    (workspace.configs / "dataset_config" / "tiny.yaml").unlink()
    assert not changed_data([run_on_tiny], workspace)
