"""A board of every model on somebody's own data, from one command."""

import inspect
import time

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import load_yaml, yaml_text
from fuxi_plugins.execution.planner import plan_suite
from fuxi_plugins.execution.resources import Resources
from fuxi_plugins.experiments.common import board_rows, common_settings, start_board
from fuxi_plugins.experiments.experiment import resolve
from fuxi_plugins.experiments.settings import legal_settings
from fuxi_plugins.experiments.suite import find_suite, load_suite
from fuxi_plugins.models.registry import NATIVE_MODELS, TREE_MODELS, is_tree_model, load_model_class
from fuxi_plugins.models.variants import VARIANTS, model_of
from fuxi_plugins.training.provenance import utc_now
from fuxi_plugins.training.runner import carry_out
from tests.conftest import ROOT
from tests.datasets.test_twins import SMALL

HISTORY = ", share_embedding: shop"
SOURCES = "feature_sources: {user: [user, shops], item: [shop]}"
ROWS = board_rows()
NEEDS = {row: load_model_class(model_of(row)).needs for row in ROWS}
NEED_A_HISTORY = {row for row, needs in NEEDS.items() if needs.history}
NEED_SOURCES = {row for row, needs in NEEDS.items() if needs.sources}


def without(workspace, *told: str) -> None:
    dataset = workspace.configs / "dataset_config" / "tiny.yaml"
    text = dataset.read_text()
    assert all(text.count(part) == 1 for part in told)
    for part in told:
        text = text.replace(part, "")
    dataset.write_text(text)


def files(workspace) -> set:
    return {path for path in workspace.configs.rglob("*") if path.is_file()}


def test_every_model_has_a_row():
    assert len(set(ROWS)) == len(ROWS)
    assert {model_of(row) for row in ROWS} == {*NATIVE_MODELS, *TREE_MODELS}
    assert set(VARIANTS) <= set(ROWS)


def test_no_two_rows_are_one_model():
    """PNN alone would be IPNN again; AFN without its MLP is not AFN+."""
    assert not {"FinalNet", "GDCN", "MaskNet", "PNN"} & set(ROWS)
    assert {"AFN", "AFN+", "AutoInt", "AutoInt+", "DCN", "CrossNet", "HFM", "HFM+", "UniMixer"} <= set(ROWS)
    built = [(model_of(row), _all_settings(row)) for row in ROWS]
    assert all(built.count(each) == 1 for each in built)


def _all_settings(row: str) -> dict:
    """Those that the row leaves to its class too."""
    parameters = inspect.signature(load_model_class(model_of(row))).parameters
    fixed = VARIANTS[row].fixed if row in VARIANTS else {}
    return {**{name: p.default for name, p in parameters.items()}, **common_settings(row), **fixed}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_an_embedding_width_and_something_to_hold_it(row):
    if is_tree_model(row):
        assert set(common_settings(row)) <= legal_settings(load_model_class(row)) - {"metrics", "monitor"}
        return
    settings = common_settings(row, {"embedding_dim": 7, "embedding_regularizer": 0.5})
    assert settings.get("embedding_dim", 7) == 7
    assert row in ("LR", "Poly2") or "embedding_dim" in settings  # those have single weights
    assert settings.get("embedding_regularizer", 0.5) == 0.5
    assert {"embedding_regularizer", "regularizer"} & set(settings)


def test_a_board_holds_all_that_the_dataset_can_feed(workspace):
    board = start_board(workspace.configs, "tiny", training={"batch_size": 64}, changes={"embedding_dim": 4})
    assert board.rows == ROWS
    suite = load_suite(workspace.configs, board.suite)
    assert [config.display_name for config in suite.experiments] == ROWS
    assert suite.seeds == [1, 2, 3]
    for config in suite.experiments:
        experiment = resolve(config)
        assert experiment.dataset_id == "tiny"
        assert experiment.is_of_trees or experiment.params["training"]["batch_size"] == 64
        assert experiment.params["training"]["metrics"] == ["AUC", "logloss", "gAUC"]  # the dataset has groups
        assert experiment.embedding_dim in (4, None)


def test_what_the_dataset_cannot_feed_is_left_out_with_its_reason(workspace):
    without(workspace, HISTORY, SOURCES)
    board = start_board(workspace.configs, "tiny")
    assert set(ROWS) - set(board.rows) == NEED_A_HISTORY | NEED_SOURCES
    assert board.left_out["DIN"] == "it needs a behaviour history"


def test_a_dataset_with_columns_of_its_own_width_gives_it_to_all(workspace):
    dataset = workspace.configs / "dataset_config" / "tiny.yaml"
    column = "name: user, type: categorical, dtype: int"
    dataset.write_text(dataset.read_text().replace(column, f"{column}, feature_encoder: 'nn.Linear(4, 6, bias=False)'"))
    board = start_board(workspace.configs, "tiny", ["DNN"])
    (config,) = load_suite(workspace.configs, board.suite).experiments
    assert config.settings["embedding_dim"] == 6


def test_a_board_of_nothing_is_no_board(workspace):
    without(workspace, HISTORY)
    before = files(workspace)
    with pytest.raises(UserError, match="a board needs a model, but none is left: DIN cannot run on tiny"):
        start_board(workspace.configs, "tiny", ["DIN"])
    assert files(workspace) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["new", "tinny"], "no dataset 'tinny'; did you mean 'tiny'?"),
        (["new", "tiny", "--models", "LR,DeepFN"], "'DeepFN'; did you mean 'DeepFM'"),
    ],
)
def test_a_board_that_cannot_be_leaves_nothing(workspace, arguments, message):
    before = files(workspace)
    result = CliRunner().invoke(main, ["--configs", str(workspace.configs), *arguments])
    assert (result.exit_code, message in result.output) == (2, True), result.output
    assert files(workspace) == before


def test_the_command_makes_a_board_that_runs_and_does_not_write_over_it(workspace):
    def call(*arguments):
        places = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
        return CliRunner().invoke(main, [*places, *arguments])

    made = call("new", "tiny", "--models", "LR,CrossNet,RankElastor", "--seeds", "4", "--batch-size", "100")
    assert made.exit_code == 0, made.output
    assert "3 models, 3 runs: fuxibench run tiny_common" in made.output
    experiments = workspace.configs / "model_config" / "tiny_common.yaml"
    assert list(load_yaml(experiments)) == ["Base", *(f"{r}_tiny_common" for r in ("LR", "CrossNet", "RankElastor"))]
    planned = call("run", "tiny_common", "--dry-run")
    assert planned.output.count("would run") == 3, planned.output
    text = experiments.read_text()
    again = call("new", "tiny")
    assert again.exit_code == 2
    assert "tiny_common.yaml exists already; edit it, or move it away" in again.output
    assert experiments.read_text() == text


@pytest.mark.slow
@pytest.mark.parametrize("twin", SMALL)
def test_every_model_trains_on_every_twin_or_is_left_out_with_a_reason(twin, tmp_path):
    """One epoch of a few thousand rows each, in this process."""
    workspace = Workspace(tmp_path / "configs", tmp_path / "results", tmp_path / "cache")
    entry = load_yaml(ROOT / "benchmark_configs" / "dataset_config" / "twins.yaml")[twin]
    entry["build_args"] |= SMALL[twin]
    write_text(workspace.configs / "dataset_config" / "twin.yaml", yaml_text({twin: entry}))
    board = start_board(workspace.configs, twin, seeds=[1], training={"batch_size": 500, "epochs": 1})
    suite = find_suite(board.suite, workspace)
    plan = plan_suite(suite, workspace, Resources([-1], threads=1))
    assert all("fuxibench[trees]" in reason for _, reason in plan.skipped)
    without_library = {job.experiment.display_name for job, _ in plan.skipped}
    assert [job.experiment.display_name for job in plan.todo] == [r for r in board.rows if r not in without_library]
    for job in plan.todo:
        job.run_folder.mkdir(parents=True)
        record = carry_out(job, lambda news: None, started=utc_now(), clock_start=time.perf_counter())
        assert record.finished, job.name
        assert 0.3 < record.metrics["test"]["AUC"] < 0.95, job.name
    print(f"{twin}: {len(board.rows)} models trained; {', '.join(board.left_out) or 'none'} left out")
    assert set(ROWS) - set(board.rows) == (
        set() if "kuai" in twin or "taobao" in twin else NEED_A_HISTORY | NEED_SOURCES
    )
