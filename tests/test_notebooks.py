"""The notebooks in examples/ run from their first cell to their last, without Jupyter."""

import json
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest

from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.models.registry import INSTALLED_ONLY, use_sources
from tests.conftest import ROOT

matplotlib.use("Agg")
EXAMPLES = ROOT / "examples"
WRITE = "%%writefile "


@pytest.fixture(autouse=True)
def _clean():
    yield
    plt.close("all")
    use_sources(INSTALLED_ONLY)


def run(name: str) -> dict:
    """Runs the code cells in the current folder and returns their variables; a cell may write itself to a file."""
    space: dict = {}
    notebook = json.loads((EXAMPLES / f"{name}.ipynb").read_text(encoding="utf-8"))
    for number, cell in enumerate(notebook["cells"]):
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            continue
        if source.startswith(WRITE):
            first, _, text = source.partition("\n")
            Path(first.removeprefix(WRITE)).write_text(text + "\n", encoding="utf-8")
        else:
            exec(compile(source, f"{name}, cell {number}", "exec"), space)
    return space


def test_read_a_board(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    space = run("read_a_board")
    assert space["table"].display_name[0] == "FinalMLP"
    assert len(space["results"]) == 55
    assert "RankElastor is not significantly different from DCNv2" in capsys.readouterr().out


@pytest.mark.slow  # three processes that train
def test_your_own_model(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    runs = run("your_own_model")["runs"].set_index("display_name")
    assert list(runs.index) == ["DNN", "Gated (epochs=2)", "LR"]
    assert (runs.status == "finished").all()
    assert runs.test_AUC["LR"] < runs.test_AUC["DNN"]


def test_table_of_a_paper(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    space = run("table_of_a_paper")
    assert ("ml100k", "gAUC") in space["table"].to_pandas().columns
    printed = capsys.readouterr().out
    assert r"\label{tab:overall}" in printed
    assert "RelaImpr" in printed


def test_notebooks_are_committed_without_output():
    paths = sorted(EXAMPLES.glob("*.ipynb"))
    assert [path.stem for path in paths] == ["read_a_board", "table_of_a_paper", "your_own_model"]
    for path in paths:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
        for cell in notebook["cells"]:
            assert cell["id"]
            assert not cell.get("outputs")
            assert not cell.get("execution_count")
