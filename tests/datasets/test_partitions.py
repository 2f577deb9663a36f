"""Folders of parts whose folders' names hold columns: read, described, prepared and imported as one table."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.sources.install import import_files, verify_files
from tests.datasets.test_reading import assert_same


def table(days=tuple(f"2026-03-0{day}" for day in range(1, 6)), rows=60) -> pl.DataFrame:
    count = rows * len(days)
    return pl.DataFrame(
        {
            "user": [f"u{row % 11}" for row in range(count)],
            "label": [int(row % 11 < 5) ^ int(row % 7 == 0) for row in range(count)],
            "dt": [day for day in days for _ in range(rows)],
        }
    )


def write_partitions(folder, rows: pl.DataFrame, ending=".parquet"):
    """Parquet by polars, which also leaves the key in the file; csv as Spark does."""
    if ending == ".parquet":
        rows.write_parquet(pl.PartitionBy(folder, key="dt"), mkdir=True)
        return
    for (day,), part in rows.group_by("dt", maintain_order=True):
        (folder / f"dt={day}").mkdir(parents=True)
        part.drop("dt").write_csv(folder / f"dt={day}" / "part.csv")


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_keys_are_columns_like_any_other(tmp_path, ending):
    write_partitions(tmp_path / "clicks", table(), ending)
    (tmp_path / "clicks" / "_SUCCESS").touch()
    (tmp_path / "clicks" / "_old").mkdir()
    (tmp_path / "clicks" / "_old" / f"left{ending}").write_text("broken")
    assert read_header(tmp_path / "clicks") == ["user", "label", "dt"]
    blocks = [block.frame for block in read_blocks(tmp_path / "clicks", ["dt", "user", "label"])]
    read = pl.concat(blocks).select(pl.all().cast(pl.String)).sort("dt", "user", "label")
    assert read.equals(table().select(pl.col("dt", "user", "label").cast(pl.String)).sort("dt", "user", "label"))
    (only,) = {tuple(block.frame.columns) for block in read_blocks(tmp_path / "clicks", ["dt"])}
    assert only == ("dt",)
    assert sum(block.frame.height for block in read_blocks(tmp_path / "clicks", ["dt"])) == 300


def test_a_partitioned_table_prepares_as_the_same_rows_in_one_file(tmp_path):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write_partitions(tmp_path / "parts", table(), ".csv")
    found = describe("mine", tmp_path / "parts")
    assert found.entry["train_data"] == "."
    assert found.entry["split"]["column"] == "dt"
    (tmp_path / "whole").mkdir()
    table().write_csv(tmp_path / "whole" / "clicks.csv")
    whole = describe("mine", tmp_path / "whole")
    assert {**whole.entry, "data_root": "", "train_data": ""} == {**found.entry, "data_root": "", "train_data": ""}
    prepared = [prepare_dataset(read_spec("mine", entry, tmp_path), workspace) for entry in (found.entry, whole.entry)]
    assert_same(*prepared)


def test_a_partitioned_folder_is_imported_whole(tmp_path):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write_partitions(tmp_path / "from" / "clicks", table(), ".csv")
    entry = describe("mine", tmp_path / "from" / "clicks").entry | {"data_root": None, "train_data": "clicks"}
    spec = read_spec("mine", entry, tmp_path)
    folder = import_files(spec, tmp_path / "from", workspace)
    assert len(list(folder.rglob("part.csv"))) == 5
    assert all(state.in_order for state in verify_files(spec, folder))
    assert prepare_dataset(spec, workspace).card.rows == {"train": 180, "valid": 60, "test": 60}


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8))
def test_a_key_is_any_text(tmp_path_factory, value):
    """As polars quotes it in the folder's name."""
    folder = tmp_path_factory.mktemp("any")
    pl.DataFrame({"a": [1], "key": [value]}).write_parquet(
        pl.PartitionBy(folder / "t", key="key", include_key=False), mkdir=True
    )
    (block,) = read_blocks(folder / "t", ["key", "a"])
    assert block.frame.rows() == [(value, 1)]


def test_a_missing_key_is_a_missing_value(tmp_path):
    (tmp_path / "key=__HIVE_DEFAULT_PARTITION__").mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "key=__HIVE_DEFAULT_PARTITION__" / "0.parquet")
    (block,) = read_blocks(tmp_path, ["key"])
    assert block.frame["key"].to_list() == [None]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"day=1/0.csv": "a\n1\n", "hour=2/0.csv": "a\n1\n"}, "but day=1/0.csv has day and hour=2/0.csv has hour"),
        ({"day=1/0.csv": "a\n1\n", "other.csv": "a\n1\n"}, "but day=1/0.csv has day and other.csv has none"),
    ],
)
def test_keys_that_do_not_fit_are_refused_with_one_message(tmp_path, parts, message):
    for name, text in parts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message):
        list(read_blocks(tmp_path, ["a"]))
    with pytest.raises(UserError):
        describe("mine", tmp_path)
