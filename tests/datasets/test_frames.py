"""Frames and columns of kinds that files of parquet do not have, or that few writers use."""

from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec, read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.own_data import describe_own
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.values import plain
from tests.datasets.test_reading import assert_same

RANDOM = np.random.default_rng(11)
ROWS = 600
FRAME = pd.DataFrame(
    {
        "user_id": RANDOM.integers(0, 40, ROWS),
        "item_id": RANDOM.integers(0, 60, ROWS),
        "price": RANDOM.lognormal(2, 1, ROWS).round(2),
        "click": RANDOM.integers(0, 2, ROWS),
    }
)


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "benchmark_configs", tmp_path / "results", tmp_path / ".cache")


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pd.cut(FRAME.price, 5), "categorical"),
        (pd.Series(pd.arrays.SparseArray(FRAME.item_id % 3)), "categorical"),
        (pd.interval_range(0, ROWS).repeat(1), None),  # left out: one for each row
    ],
    ids=["intervals of pd.cut", "sparse", "intervals"],
)
def test_columns_of_pandas_own_kinds(workspace, column, kind):
    found = describe_own("mine", FRAME.assign(kind=column), workspace)
    entries = {entry["name"]: entry for entry in yaml.safe_load(found.text)["mine"]["feature_cols"]}
    assert entries["kind"].get("active", True) == (kind is not None)
    assert kind is None or entries["kind"]["type"] == kind


def test_a_frame_that_cannot_be_written_leaves_nothing_behind(workspace, tmp_path):
    with pytest.raises(UserError, match="parquet must be able to hold every column, but .* Convert it to text"):
        describe_own("mine", FRAME.assign(empty=[{}] * ROWS), workspace)
    assert not (tmp_path / "data" / "mine").exists()
    assert describe_own("mine", FRAME, workspace).dataset == "mine"


def test_an_index_of_times_is_the_time(workspace):
    times = pd.date_range("2024-01-01", periods=ROWS, freq="h")
    found = describe_own("mine", FRAME.set_index(times), workspace)
    assert yaml.safe_load(found.text)["mine"]["split"]["column"] == "time"


def test_text_in_bytes_is_text(tmp_path):
    """As Hive and Impala write it."""
    folders = [tmp_path / "bytes", tmp_path / "text"]
    for folder, binary in zip(folders, (True, False), strict=True):
        folder.mkdir()
        columns = {name: [str(value) for value in FRAME[name]] for name in ("user_id", "item_id")}
        made = {name: pa.array(values).cast(pa.binary() if binary else pa.string()) for name, values in columns.items()}
        pq.write_table(pa.table({**made, "click": FRAME.click.tolist()}), folder / "log.parquet")
    first, second = (describe("mine", folder / "log.parquet").entry for folder in folders)
    assert first["feature_cols"] == second["feature_cols"]
    assert_same(prepared(folders[0], first), prepared(folders[1], second))


def test_bytes_that_are_no_text_are_ids(tmp_path):
    ids = [bytes([200, value, 255]) for value in FRAME.user_id]
    pl.DataFrame({"user_id": ids, "item_id": FRAME.item_id.tolist(), "click": FRAME.click.tolist()}).write_parquet(
        tmp_path / "log.parquet"
    )
    entry = describe("mine", tmp_path / "log.parquet").entry
    assert "user_id" in [column["name"] for column in entry["feature_cols"] if column.get("active", True)]
    prepared(tmp_path, entry)


@pytest.mark.parametrize("name", ["1e5", "1.5e3", "0x1F", "null", "2024-01-01", "yes", "1_000"])
def test_a_column_whose_name_looks_like_a_value_stays_text(workspace, tmp_path, name):
    found = describe_own("mine", FRAME.rename(columns={"price": name}), workspace)
    assert read_spec("mine", yaml.safe_load(found.text)["mine"], tmp_path)
    assert name in load_dataset_spec(workspace.all_configs, "mine").raw_columns


def test_an_id_in_bytes_is_the_same_in_every_block():
    """Also beside one that is no text."""
    alone, beside = (
        plain(Path("log.parquet"), pl.DataFrame({"id": values}))["id"].to_list()
        for values in ([b"17", None], [b"17", bytes([200, 1])])
    )
    assert alone == ["17", None]
    assert beside == ["17", "c801"]
