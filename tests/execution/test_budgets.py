"""The plan of a large set of runs: its sums by hand, the counted operations, and whether its commands can be given."""

import json
import shlex
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from fuxi_plugins.analysis.budget import DEVICES, MOVED, Device, Utilisation, Work
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.execution.budgets import make_budget
from fuxi_plugins.experiments.suite import find_suite
from fuxi_plugins.models.meta import forward_operations
from fuxi_plugins.reporting.budget import budget_to_json, render_budget
from fuxi_plugins.tuning.report import render_config
from tests.conftest import ROOT, write

HALF = Utilisation(peak=0.5, bandwidth=0.25)


@pytest.fixture(scope="module")
def workspace():
    return Workspace.locate(ROOT / "benchmark_configs", ROOT / "results")


@pytest.fixture(scope="module")
def budget(workspace):
    return make_budget("paper_full", workspace, 8, Utilisation(), ("yambda_50m",))


@pytest.fixture(scope="module")
def yambda(budget):
    return budget.datasets[0]


def test_the_hours_of_a_run_by_hand():
    work = Work(
        forward=1e6, dense=1_000, tables=9_000, batch_size=100, epochs=2, train=1_000_000, valid=10_000, test=5_000
    )
    device = Device("made up", peak=1e9, bandwidth=1e8, memory=1e9, source="")
    arithmetic = (
        1e6 * (3 * 2 * 1_000_000 + 2 * 10_000 + 5_000) / 0.5e9
    )  # forward and twice as much backward, two epochs
    tables = 20_000 * 10_000 * 60 / 0.25e8  # steps, parameters, bytes
    assert MOVED == 60
    assert work.hours(device, HALF) == pytest.approx((arithmetic + tables) / 3600)
    assert work.memory == 10_000 * 16
    assert work.checkpoint == 10_000 * 12


def test_operations_of_an_mlp_are_those_of_its_matrices():
    """39 fields of 20, three layers of 400: products of matrices, and little beside them."""
    counted = forward_operations("DNN", {"hidden_units": [400, 400, 400]}, [20] * 39)
    matrices = 2 * (780 * 400 + 400 * 400 + 400 * 400 + 400)
    assert matrices < counted < 1.01 * matrices


def test_a_dataset_is_the_sum_of_its_runs(yambda):
    trained, valid, test, batch, epochs = 37_173_769, 4_646_721, 4_646_722, 8192, 10
    mlp = next(runs for runs in yambda.runs if runs.experiment == "MLP_yambda_50m_matched")
    assert (mlp.trials, mlp.seeds, mlp.count) == (8, list(range(11, 21)), 18)
    assert mlp.work.tables == 944_057 * 32
    h100 = DEVICES[0]
    seconds = mlp.work.forward * (3 * epochs * trained + epochs * valid + test) / (67e12 * 0.1)
    seconds += epochs * trained / batch * (944_057 * 32 + mlp.work.dense) * 60 / (3.35e12 * 0.6)
    assert mlp.hours(h100, Utilisation()) == pytest.approx(18 * seconds / 3600)
    assert yambda.hours(h100, Utilisation()) == pytest.approx(sum(r.hours(h100, Utilisation()) for r in yambda.runs))
    assert yambda.prepared == (trained + valid + test) * 6 * 4  # four fields, the group and the label
    assert yambda.predictions == yambda.count * test * 8
    assert yambda.count == 21 * 18 + 7 * 2 * 10  # three sizes by width and four by depth, of two models


def test_every_command_parses_and_names_what_exists(yambda, workspace, tmp_path):
    suite = find_suite("paper_full@yambda_50m,matched", workspace)
    best = SimpleNamespace(settings={"learning_rate": 1e-3})
    winners = render_config([SimpleNamespace(config=config, best=best) for config in suite.experiments])
    configs = tmp_path / "benchmark_configs"
    (configs / "model_config").mkdir(parents=True)
    (configs / "model_config" / "paper_full_yambda_50m.yaml").write_text(winners)
    tuned = Workspace(configs, tmp_path / "results", tmp_path / "cache", ROOT / "benchmark_configs")
    ran = []
    for command in yambda.commands:
        program, *words = shlex.split(command)
        if program == "cp":
            assert words[1] == "benchmark_configs/model_config/paper_full_yambda_50m.yaml"
            assert words[0] == f"results/tuning/{suite.name}.yaml"
            continue
        assert program == "fuxibench"
        group = main
        while hasattr(group, "commands"):
            name, group, words = group.resolve_command(None, words)
        if name == "verify":  # a file that pack makes
            assert words == [f"{ran[0]['name']}.zip"] or words[0].endswith("_tuned.zip")
            continue
        given = group.make_context(name, list(words)).params
        if name == "run":
            asked = given["name"] + (f"@{given['dataset']},{given['protocol']}" if given["dataset"] else "")
            found = find_suite(asked, tuned, given["seeds"])
            assert found.seeds == list(range(11, 21))
            assert given["gpus"] == list(range(8))
            ran.append(given)
        elif name == "tune":
            assert find_suite(given["name"], tuned).name == suite.name
            assert (given["trials"], given["seed"]) == (8, 1)
            assert given["seed"] not in suite.seeds, "the board's seeds are fresh"
        elif name == "pack":
            assert find_suite(given["experiment"], tuned).experiments[0].hparam_source == "tuned"
    assert len(ran) == 21 + 2


def test_every_dataset_of_the_plan_has_its_rows_and_a_validation_set_of_its_own(workspace):
    """Without models, which take their time: rows by split, and no validation set that is the test set."""
    from fuxi_plugins.core.yaml_files import load_yaml
    from fuxi_plugins.datasets.catalogue import load_dataset_spec

    plan = load_yaml(ROOT / "benchmark_configs" / "plans" / "paper_full.yaml")
    assert len(plan["datasets"]) == 5
    for name, facts in plan["datasets"].items():
        spec = load_dataset_spec(workspace.all_configs, name)
        rows = facts.get("rows") or spec.published_rows
        assert set(rows) == {"train", "valid", "test"}, name
        assert spec.valid_data is None or spec.valid_data != spec.test_data, name


def test_the_json_holds_what_the_text_says(budget):
    text, found = render_budget(budget), budget_to_json(budget)
    (dataset,) = found["datasets"]
    hours = sum(run["gpu_hours"]["H100 SXM"] for run in dataset["runs"])
    assert dataset["gpu_hours"]["H100 SXM"] == pytest.approx(hours)
    (line,) = (line for line in text.splitlines() if line.startswith("| yambda_50m "))
    assert [cell.strip() for cell in line.split("|")][2:4] == ["518", f"{hours:,.0f}"]
    assert all(command in text for command in dataset["commands"])
    assert json.loads(json.dumps(found)) == found


def test_the_command_plans_for_other_gpus_and_epochs():
    made = CliRunner().invoke(main, ["plan", "--dataset", "yambda_50m", "--gpus", "4", "--epochs", "3"])
    assert made.exit_code == 0, made.output
    for said in ("3 epochs a run", "10% of a GPU's peak", "| all ", "Days of 4 GPUs", "--gpu 0,1,2,3", "What to send"):
        assert said in made.output


def test_a_plan_or_dataset_that_is_not_there_is_told(workspace, tmp_path):
    with pytest.raises(UserError, match="paper_fool.*did you mean 'paper_full'"):
        make_budget("paper_fool", workspace, 8, HALF)
    with pytest.raises(UserError, match="criteo_x4"):
        make_budget("paper_full", workspace, 8, HALF, ("criteo_x4",))
    write(
        tmp_path / "plans" / "mine.yaml",
        """\
        title: Mine
        searched: paper_full
        protocol: matched
        trials: 1
        search_seed: 1
        epochs: 1
        datasets: {ml100k: {vocabulary: 10, source: me}}
        """,
    )
    own = Workspace(tmp_path, tmp_path / "results", tmp_path / "cache", ROOT / "benchmark_configs")
    with pytest.raises(UserError, match="rows of ml100k, but train, valid, test is missing"):
        make_budget("mine", own, 8, HALF)
