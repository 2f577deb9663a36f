"""Old names are understood for one release, with a warning."""

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.renamed import with_new_names
from fuxi_plugins.experiments.catalogue import load_experiment_config
from fuxi_plugins.experiments.suite import load_suite
from tests.conftest import write


def test_a_value_under_an_old_name_is_that_under_the_new(workspace):
    write(
        workspace.configs / "model_config" / "old.yaml",
        "Old: {model: RankMixer, dataset_id: tiny, preset: Mixer, settings_from: tuned, reading: repository}\n"
        "New: {model: RankMixer, dataset_id: tiny, display_name: Mixer, hparam_source: tuned,\n"
        "  formulation: official_code}\n",
    )
    with pytest.warns(UserWarning, match="preset is now called display_name"):
        old = load_experiment_config(workspace.configs, "Old")
    new = load_experiment_config(workspace.configs, "New")
    assert (old.display_name, old.hparam_source, old.settings) == (new.display_name, new.hparam_source, new.settings)


def test_an_old_suite_is_understood(workspace):
    path = write(
        workspace.configs / "suites" / "old.yaml", "title: Old\nexperiments: [LR_tiny]\nseeds: [1]\narms: []\n"
    )
    with pytest.warns(UserWarning, match=f"{path}: arms is now called variants"):
        assert load_suite(workspace.configs, "old").title == "Old"


def test_both_names_at_once_are_refused():
    with pytest.raises(UserError, match="preset is the old name of display_name, and both are given"):
        with_new_names({"preset": 1, "display_name": 2}, {"preset": "display_name"}, "here")


@pytest.mark.parametrize(("old", "new"), [("--observe=wandb", "--tracker"), ("--profile", "--protocol")])
def test_an_old_option_is_understood(workspace, old, new):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    value = [] if "=" in old else ["matched"]
    done = CliRunner().invoke(main, [*folders, "run", "nothing", old, *value])
    assert f"is now called {new}" in done.output
    assert "No such option" not in done.output
