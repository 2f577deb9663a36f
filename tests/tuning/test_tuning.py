"""Tuning: equal budgets, resumed wherever it stopped, and never a look at a test score."""

import json
from itertools import combinations

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.records.files import find_records
from fuxi_plugins.tuning import search
from fuxi_plugins.tuning.report import expected_best
from fuxi_plugins.tuning.space import Range, Space, default_space, read_space, spread
from tests.analysis.make import record
from tests.conftest import write


def call(workspace, *arguments):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    return CliRunner().invoke(main, [*folders, "tune", *map(str, arguments)])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=7), st.booleans())
def test_the_expected_best_is_the_mean_over_every_draw(values, higher):
    for k in range(1, len(values) + 1):
        best = [max(draw) if higher else min(draw) for draw in combinations(values, k)]
        assert expected_best(values, k, higher) == pytest.approx(sum(best) / len(best))


def test_the_best_of_more_than_there_are():
    with pytest.raises(ValueError, match="there are 2"):
        expected_best([0.1, 0.2], 3)


def test_every_model_has_the_same_kind_of_space():
    for model, regularizer in (("LR", "regularizer"), ("DNN", "embedding_regularizer")):
        axes = default_space(model).axes
        assert axes["learning_rate"] == Range(low=1e-4, high=1e-2, log=True)
        assert regularizer in axes
    assert "net_dropout" in default_space("DNN").axes
    assert "net_dropout" not in default_space("LR").axes


def test_fuxictrs_tuner_files_are_read(tmp_path):
    path = write(
        tmp_path / "tuner.yaml",
        """\
        base_config: ../model_zoo/DNN/config/
        base_expid: DNN_default
        dataset_id: tiny
        tuner_space:
            model_root: './checkpoints/'
            learning_rate: 1e-3
            embedding_regularizer: [0, 1e-6, 0.1]
            hidden_units: [[16], [16, 8]]
            net_dropout: {low: 0, high: 0.5}
            seed: 20222023
            monitor: {"gAUC": 1, "AUC": 1}
        """,
    )
    space = read_space(path)
    assert space.axes["learning_rate"] == [1e-3]
    assert space.axes["hidden_units"] == [[16], [16, 8]]
    assert space.axes["net_dropout"] == Range(low=0, high=0.5)
    assert "model_root" not in space.axes
    assert space.axes["monitor"] == [{"gAUC": 1, "AUC": 1}]
    spaces = spread(space, {"L": "LR", "D": "DNN"})
    assert set(spaces["L"].axes) == {"learning_rate", "regularizer", "monitor"}
    assert {"embedding_regularizer", "hidden_units"} < set(spaces["D"].axes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tuner_space: 3", "must hold a tuner_space"),
        ("learning_rate: {low: 1, high: 0}", "goes from low to a higher high"),
        ("learning_rate: {low: 0, high: 1, log: true}", "logarithmic one from above 0"),
        ("learning_rate: {low: 0, hihg: 1}", "hihg"),
        ("learning_rate: []", "has no choice"),
    ],
)
def test_a_space_that_is_none(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        read_space(write(tmp_path / "space.yaml", text))


def test_a_model_without_any_of_the_settings():
    with pytest.raises(UserError, match="LR has none of the settings hidden_units"):
        spread(Space({"hidden_units": [[1]]}), {"L": "LR"})


def test_a_setting_that_no_model_has():
    with pytest.raises(UserError, match="'hiden_units', which DNN, LR do not have; did you mean 'hidden_units'"):
        spread(Space({"learning_rate": [1e-3], "hiden_units": [[1]]}), {"L": "LR", "D": "DNN"})


@pytest.fixture
def runs(monkeypatch):
    """Runs that take no time: validation AUC follows the learning rate, test AUC goes the other way."""
    done = []

    def run(variants, suite, seed, workspace, resources):
        from fuxi_plugins.records.files import write_record

        for config in variants:
            done.append(config.id)
            rate = config.settings["learning_rate"]
            params = {"model": {}, "training": {"monitor": "AUC"}}
            names = {"dataset": config.dataset_id, "experiment": config.id, "params": params}
            made = record(config.display_name, seed, test=0.9 - rate, valid=0.5 + rate, **names)
            if rate > 0.009:
                made = record(config.display_name, seed, failed="diverged", **names)
            write_record(workspace.run_folder(config.dataset_id, config.id, seed), made)

    monkeypatch.setattr(search, "_run", run)
    return done


def tune(workspace, trials, sampler="random"):
    suite = find_suite("tiny_suite", workspace)
    spaces = {config.id: default_space(config.model) for config in suite.experiments}
    return search.tune(suite, spaces, trials, 1, sampler, workspace, None)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_every_model_gets_the_same_number_of_trials_and_validation_chooses(workspace, runs, sampler):
    tuned = tune(workspace, 12, sampler)
    assert [len(one.trials) for one in tuned] == [12, 12]
    for one in tuned:
        finished = [trial for trial in one.trials if trial.valid is not None]
        assert one.best.valid == max(trial.valid for trial in finished)
        assert one.best.settings["learning_rate"] == max(trial.settings["learning_rate"] for trial in finished)
        assert all(trial.reason == "diverged" for trial in one.trials if trial.valid is None)
    assert len(set(runs)) > 20  # the draws differ


def test_a_search_goes_on_where_it_stopped_and_goes_further(workspace, runs, monkeypatch):
    tune(workspace, 3)
    first = list(runs)
    assert tune(workspace, 3)[0].trials
    assert runs == first
    tuned = tune(workspace, 5)
    assert [len(one.trials) for one in tuned] == [5, 5]
    assert len(set(runs)) == 10

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(search, "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tune(workspace, 6)
    assert [len(one.trials) for one in tune(workspace, 6)] == [6, 6]
    assert len(runs) == 12


def test_from_the_command_line_with_real_runs(workspace, tmp_path):
    space = write(tmp_path / "space.yaml", "tuner_space: {learning_rate: [1e-2, 1e-3], epochs: 1}")
    result = call(workspace, "tiny_suite", "--trials", 2, "--space", space, "--jobs", 2)
    assert result.exit_code == 0, result.output
    assert "valid AUC" in result.output
    assert "test AUC" not in result.output
    found = json.loads((workspace.results / "tuning" / "tiny_suite.json").read_text())
    assert [len(one["trials"]) for one in found] == [2, 2]
    valid = {r.experiment: r.metrics["valid"]["AUC"] for r in find_records(workspace.results)}
    for one in found:
        assert one["best"]["valid"] == max(valid[trial["experiment"]] for trial in one["trials"])
    winners = (workspace.results / "tuning" / "tiny_suite.yaml").read_text()
    assert "hparam_source: tuned" in winners
    again = call(workspace, "tiny_suite", "--trials", 2, "--space", space, "--board", "best")  # nothing is run again
    assert again.output.endswith("2 winners: fuxibench run best\n")
    checked = CliRunner().invoke(main, ["--configs", str(workspace.configs), "check"])
    assert checked.exit_code == 0, checked.output
    best = find_suite("best", workspace)
    assert [config.settings["learning_rate"] for config in best.experiments] == [
        one["best"]["settings"]["learning_rate"] for one in found
    ]
    assert {config.hparam_source for config in best.experiments} == {"tuned"}
    assert best.seeds == [2, 3, 4]


def test_a_board_of_winners_is_written_anew_but_nobodys_own(workspace, tmp_path, monkeypatch):
    space = write(tmp_path / "space.yaml", "tuner_space: {learning_rate: [1e-2, 1e-3], epochs: 1}")
    first = call(workspace, "DNN_tiny", "--trials", 1, "--space", space, "--board", "best")
    assert first.exit_code == 0, first.output
    suite, config = (workspace.configs / kind / "best.yaml" for kind in ("suites", "model_config"))
    config.write_text(config.read_text().replace("hidden_units", "# hidden_units"))
    assert call(workspace, "DNN_tiny", "--trials", 1, "--space", space, "--board", "best").exit_code == 0
    assert "# hidden_units" not in config.read_text()
    monkeypatch.setattr(search, "tune", lambda *_: pytest.fail("refused before it searches"))
    other = call(workspace, "DNN_tiny", "--trials", 1, "--space", space, "--board", "another")
    assert "has DNN_tiny_tuned already; move it away" in other.output
    suite.write_text("title: My own\n")
    own = call(workspace, "DNN_tiny", "--trials", 1, "--space", space, "--board", "best")
    assert own.exit_code == 2
    assert "best.yaml exists already" in own.output


def test_a_search_without_a_winner_writes_no_board(workspace, tmp_path, monkeypatch):
    space = write(tmp_path / "space.yaml", "tuner_space: {learning_rate: [1e-2], epochs: 1}")
    monkeypatch.setattr(search, "tune", lambda *_: [])
    result = call(workspace, "DNN_tiny", "--trials", 1, "--space", space, "--board", "best")
    assert "No trial has finished, so no board was written." in result.output
    assert not (workspace.configs / "suites" / "best.yaml").exists()


def test_a_setting_that_the_model_lacks_is_refused_before_anything_runs(workspace, tmp_path):
    space = write(tmp_path / "space.yaml", "hiden_units: [[4]]")
    result = call(workspace, "DNN_tiny", "--trials", 1, "--space", space)
    assert result.exit_code == 2
    assert "DNN has none of the settings hiden_units" in result.output
