"""What the README, docs/datasets.md, docs/add_a_model.md and docs/commands.md show works: data, model and commands."""

import os
import re
import textwrap

import click
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE, Workspace
from fuxi_plugins.models.registry import INSTALLED_ONLY, use_sources
from tests.conftest import ROOT, write

README = "".join((ROOT / page).read_text() for page in ("README.md", "docs/add_a_model.md", "docs/commands.md"))
DATASETS = (ROOT / "docs" / "datasets.md").read_text()


def block(language: str, containing: str, page: str = README) -> str:
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", page, flags=re.S) if containing in text]
    assert len(found) == 1
    return found[0]


def write_clicks(folder):
    """One csv file with the columns that the dataset of the page names."""
    lines = ["rating,user_id,item_id,price,history,time"]
    for row in range(600):
        user, item = row % 7, (row * 3) % 11
        history = ", ".join(f"'i{(row + step) % 11}'" for step in range(row % 4))
        price = "NA" if item == 10 else item / 2
        lines.append(f'{(user + item) % 6},u{user},i{item},{price},"[{history}]",{1_700_000_000 + row}')
    write(folder / "clicks.csv", "\n".join(lines))


@pytest.fixture
def readme_workspace(tmp_path, monkeypatch):
    site = tmp_path / "site"
    write(site / "my_models.py", block("python", "class TwoLayers"))
    entry_point = re.search(r'TwoLayers = "(.*)"', block("toml", "entry-points")).group(1)
    points = f"[fuxi_plugins.models]\nTwoLayers = {entry_point}\n"
    write(site / "my_models-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: my_models\nVersion: 1.0\n")
    write(site / "my_models-1.0.dist-info" / "entry_points.txt", points)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{ROOT}")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    configs = tmp_path / "benchmark_configs"
    dataset = block("yaml", "title: Clicks of my shop", DATASETS).replace("/data/my_clicks", str(tmp_path / "data"))
    write(configs / "dataset_config" / "my_clicks.yaml", dataset)
    experiment = """\
        Base: {dataset_id: my_clicks, batch_size: 50, epochs: 1}
        TwoLayers_my_clicks: {model: TwoLayers, width: 8, embedding_dim: 4}
        DNN_my_clicks: {model: DNN, embedding_dim: 4}
    """
    write(configs / "model_config" / "my_clicks.yaml", experiment)
    suite = "title: Mine\nexperiments: [TwoLayers_my_clicks, DNN_my_clicks]\nseeds: [1]\n"
    write(configs / "suites" / "my_board.yaml", suite)
    write_clicks(tmp_path / "data")
    return Workspace.locate(configs, tmp_path / "results")


def call(workspace, *arguments):
    folders = ["--configs", str(workspace.configs), "--results", str(workspace.results)]
    return CliRunner().invoke(main, [*folders, *arguments])


def test_your_own_data_and_your_own_model(readme_workspace):
    result = call(readme_workspace, "run", "my_board")
    assert result.exit_code == 0, result.output
    board = (readme_workspace.results / "leaderboards" / "my_board.md").read_text()
    assert "TwoLayers" in board
    assert "DNN" in board
    assert "TwoLayers" in call(readme_workspace, "list", "models").output


def test_a_setting_of_your_own_model_is_checked(readme_workspace):
    path = readme_workspace.configs / "model_config" / "my_clicks.yaml"
    path.write_text(path.read_text().replace("width: 8", "widht: 8"))
    result = call(readme_workspace, "run", "my_board")
    assert result.exit_code == 2
    assert "did you mean 'width'?" in result.output


def test_the_commands_it_names_exist():
    lines = [line.split("#")[0].split() for line in README.splitlines() if line.startswith("fuxibench ")]
    assert len(lines) >= 8
    for _, *words in lines:
        command = main
        while words[0].startswith("--"):  # an option of fuxibench itself, with its value
            assert words.pop(0) in {name for parameter in main.params for name in parameter.opts}
            words.pop(0)
        while isinstance(command, click.Group):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_runs_without_a_file_work_as_written(tmp_path, monkeypatch):
    """As dry runs, which check every setting, beside the file of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    write(tmp_path / "my_models.py", block("python", "class TwoLayers"))
    lines = [line.split("#")[0].split() for line in README.splitlines() if line.startswith("fuxibench run --")]
    assert len(lines) >= 4
    try:
        for _, *words in lines:
            result = CliRunner().invoke(main, [*words, "--dry-run"])
            assert result.exit_code == 0, (words, result.output)
            assert "would run" in result.output
    finally:
        use_sources(INSTALLED_ONLY)


def test_the_suites_and_experiments_it_names_exist():
    named = re.findall(r"^fuxibench (?:run|leaderboard) (\S+)", README, flags=re.M)
    names = [name for name in named if not name.startswith(("my_", "--"))]  # the reader's own, and no name at all
    listed = textwrap.dedent(CliRunner().invoke(main, ["--configs", str(ROOT / "benchmark_configs"), "list"]).output)
    assert names
    assert all(re.search(rf"\b{re.escape(name)}\b", listed) for name in names)
