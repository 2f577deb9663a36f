"""The Python front door, as docs/python.md shows it."""

import io
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner

import fuxi_plugins as fb
from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import CACHE_VARIABLE
from fuxi_plugins.models.registry import INSTALLED_ONLY, load_model_class, use_sources
from fuxi_plugins.records.files import find_records
from tests.conftest import ROOT, write

matplotlib.use("Agg")
PAGE = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / "docs" / "add_a_model.md").read_text(encoding="utf-8")


def blocks(page):
    return re.findall(r"```python\n(.*?)```", page, re.DOTALL)


@pytest.fixture(autouse=True)
def _forget_models():
    yield
    use_sources(INSTALLED_ONLY)


def clicks(rows=2000) -> pd.DataFrame:
    draw = np.random.default_rng(7)
    item = draw.integers(0, 30, rows)
    return pd.DataFrame(
        {"user_id": draw.integers(0, 40, rows), "item_id": item, "click": (draw.random(rows) < item / 40).astype(int)}
    )


@pytest.fixture
def in_checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_importing_the_package_loads_nothing_and_names_are_complete():
    code = (
        "import sys; before = set(sys.modules); import fuxi_plugins as fb\n"
        "loaded = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(loaded & {'torch', 'fuxictr', 'pandas', 'numpy', 'pydantic', 'click'}))\n"
        "print(set(fb.__all__) <= set(dir(fb)))\n"
        "fb.load_board\n"
        "print(sorted({'torch', 'fuxictr'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "True", "[]"]
    for name in fb.__all__:
        assert callable(getattr(fb, name))
        assert getattr(fb, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'load_bord'"):
        getattr(fb, "load_" + "bord")


def test_the_page_works_as_written(tmp_path, monkeypatch, in_checkout, capsys):
    """What reads results runs in the checkout, what trains in an empty folder."""
    reading, running = PAGE.split("## Running")
    space = {}
    for block in blocks(reading):
        exec(compile(block, "docs/python.md", "exec"), space)
    printed = capsys.readouterr().out
    assert isinstance(space["table"], pd.DataFrame)
    assert "RankElastor" in printed
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))
    write(tmp_path / "my_models.py", blocks(EXAMPLE)[0])
    clicks().to_csv(tmp_path / "clicks.csv", index=False)
    for block in blocks(running):
        exec(compile(block, "docs/python.md", "exec"), space)
    assert set(space["runs"].display_name) == {"LR", "TwoLayers (epochs=1)"}
    (said,) = space["runs"].attrs["not_equal"]
    assert said.startswith("epochs is 1 for TwoLayers; on quickstart it is ")
    assert set(fb.load_runs().set_width.dropna()) == {8, 64}
    assert len(fb.load_runs()) == 6
    assert set(fb.load_runs("my_clicks").display_name) == {"LR", "DNN"}


@pytest.mark.parametrize(
    "kind", [lambda table: table, pl.from_pandas, pa.Table.from_pandas], ids=["pandas", "polars", "arrow"]
)
def test_a_table_is_described_as_the_same_file(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    table = clicks()
    table.to_csv("clicks.csv", index=False)
    from_table, from_file = fb.describe("a", kind(table)), fb.describe("b", "clicks.csv")
    assert "split: {by: random" in from_table.text
    renamed = from_table.text.replace("a:\n", "b:\n", 1).replace("title: a", "title: b")
    renamed = renamed.replace("data_root: data/a", "data_root: .").replace("a.parquet", "clicks.csv")
    assert renamed == from_file.text
    assert str(from_table).endswith("check it, then: fuxibench new a")


def test_tables_of_splits_are_those_splits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = fb.describe("mine", {"train": clicks(900), "test": clicks(100)})
    assert "train_data: train.parquet" in found.text
    assert "test_data: test.parquet" in found.text
    assert pd.read_parquet(tmp_path / "data" / "mine" / "test.parquet").equals(clicks(100))


def test_an_index_with_a_name_is_a_column(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "name: user_id" in fb.describe("mine", clicks().set_index("user_id")).text
    assert fb.describe("other", clicks().sample(frac=1.0, random_state=1)).text.count("index") == 0


MIXED = pd.DataFrame({"click": [1, "a", None], "item": [1, 2, 3]})
REFUSED = {
    "mixed kinds": (MIXED, "every column must hold values of one kind, but .*'a'"),
    "no table": ([1, 2], "a table of pandas, polars or Arrow is needed, or a path, but this is a list"),
    "no train": ({"test": clicks(9)}, "named train, valid and test, train at least, but are test"),
    "no label": (clicks(9).drop(columns="click"), "has no label named one of"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_table_that_cannot_be_described_leaves_nothing_behind(tmp_path, monkeypatch, data, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        fb.describe("mine", data)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_name_that_is_taken_keeps_its_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fb.describe("mine", clicks())
    before = (tmp_path / "data" / "mine" / "mine.parquet").read_bytes()
    with pytest.raises(UserError, match="already"):
        fb.describe("mine", clicks(50))
    (tmp_path / "benchmark_configs" / "dataset_config" / "mine.yaml").unlink()
    with pytest.raises(UserError, match="which is there already; remove it or choose another name"):
        fb.describe("mine", clicks(50))
    assert (tmp_path / "data" / "mine" / "mine.parquet").read_bytes() == before


def test_runs_hold_what_the_records_hold(in_checkout):
    runs = fb.load_runs("ml100k")
    records = find_records(ROOT / "results", "ml100k")
    assert len(runs) == len(records)
    for record, (_, row) in zip(records, runs.iterrows(), strict=True):
        assert (row.experiment, row.seed, row.status) == (record.experiment, record.seed, record.status)
        if record.finished:
            assert row.test_AUC == record.metrics["test"]["AUC"]
            epochs = record.params["training"].get("epochs")  # trees have none
            assert row.set_epochs == epochs or (epochs is None and pd.isna(row.set_epochs))


def test_a_board_is_the_commands(in_checkout):
    board = fb.load_board("ml100k_board")
    csv, tex = (
        CliRunner().invoke(main, ["leaderboard", "ml100k_board", "--format", form]).output for form in ("csv", "tex")
    )
    printed, table = pd.read_csv(io.StringIO(csv)), board.to_pandas()
    assert list(table.columns) == list(printed.columns)
    assert list(table.display_name) == list(printed.display_name)
    assert table.test_AUC_mean.to_numpy() == pytest.approx(printed.test_AUC_mean.to_numpy(), abs=1e-12)
    assert board.to_latex() == tex
    axes = board.plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == list(table.display_name)
    drawn = [line.get_xdata()[0] for line in axes.lines]
    assert drawn == pytest.approx(list(table.test_AUC_mean))
    assert fb.load_board("ml100k_board", by="logloss").leaderboard.rank_by == "logloss"
    with pytest.raises(UserError, match="several datasets; name one of"):
        fb.load_board("twins_smoke")


def test_a_comparison_is_the_commands(in_checkout):
    from fuxi_plugins.analysis.comparisons import comparisons
    from fuxi_plugins.core.workspace import Workspace

    (row,) = fb.compare("RankElastor", "DCNv2", dataset="ml100k").to_dict("records")
    (one,) = comparisons("RankElastor", "DCNv2", "ml100k", None, Workspace.locate())
    assert (row["effect"], row["sentence"]) == (one.effect, one.sentence)
    assert row["low"] < row["effect"] < row["high"]


def test_a_registered_class_is_known_and_one_without_a_file_is_refused(tmp_path, monkeypatch):
    write(tmp_path / "my_registered.py", blocks(EXAMPLE)[0].replace("TwoLayers", "Registered"))
    monkeypatch.syspath_prepend(str(tmp_path))
    from my_registered import Registered

    assert fb.register(Registered) == "Registered"
    assert fb.register(Registered) == "Registered"  # a cell may be run twice
    assert load_model_class("Registered").__name__ == "Registered"
    typed = type("Typed", (Registered,), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "__file__", None, raising=False)
    with pytest.raises(UserError, match="must be defined in a Python file"):
        fb.register(typed)


def test_what_to_run_is_named_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    both = {"model": "LR", "dataset": "synthetic", "beside": "quickstart"}
    for wrong in ({}, {"name": "quickstart", "beside": "quickstart"}, {"model": "LR"}, both):
        with pytest.raises(UserError, match="what to run is named by"):
            fb.run(**wrong)
