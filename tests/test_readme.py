"""What the README and docs/add_a_model.md show is what works: the dataset, the model and its entry point."""

import os
import re

import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.workspace import CACHE_VARIABLE, Workspace
from tests.conftest import ROOT, write

README = (ROOT / "README.md").read_text() + (ROOT / "docs" / "add_a_model.md").read_text()


def block(language: str, containing: str) -> str:
    found = [text for text in re.findall(rf"```{language}\n(.*?)```", README, flags=re.S) if containing in text]
    assert len(found) == 1
    return found[0]


def write_clicks(folder):
    """csv files with the columns that the README's dataset names."""
    lines = ["clicked,user_id,item_id,price,history"]
    for row in range(200):
        user, item = row % 7, (row * 3) % 11
        history = "^".join(f"i{(row + step) % 11}" for step in range(row % 4))
        lines.append(f"{(user + item) % 2},u{user},i{item},{item / 2},{history}")
    for split in ("train", "valid", "test"):
        write(folder / f"{split}.csv", "\n".join(lines))


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
    dataset = block("yaml", "my_clicks").replace("/data/my_clicks", str(tmp_path / "data"))
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
