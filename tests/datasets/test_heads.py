"""What is looked at: the same rows give the same config in one file and in many parts."""

import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing import heads
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.heads import stacked
from fuxi_plugins.datasets.prepare import prepare_dataset

ROWS = 6000


@pytest.fixture(scope="module")
def clicks() -> pd.DataFrame:
    random = np.random.default_rng(0)
    items = random.integers(0, 300, ROWS)
    liked = 2.5 * np.random.default_rng(99).normal(size=300)[items] - 1
    moments = pd.to_datetime(np.sort(1_700_000_000 + random.integers(0, 30 * 86400, ROWS)), unit="s")
    return pd.DataFrame(
        {
            "user_id": random.integers(0, 100, ROWS),
            "item_id": items,
            "price": random.lognormal(2, 1, ROWS).round(2),
            "label": (random.random(ROWS) < 1 / (1 + np.exp(-liked))).astype(int),
            "date": moments.strftime("%Y-%m-%d"),
            "hour": moments.hour,
        }
    )


def write_parts(folder, frame: pd.DataFrame, count: int, ending: str):
    folder.mkdir()
    for number, places in enumerate(np.array_split(np.arange(len(frame)), count)):
        part, path = frame.iloc[places], folder / f"part-{number:05d}.{ending}"
        match ending:
            case "csv":
                part.to_csv(path, index=False)
            case "jsonl":
                part.to_json(path, orient="records", lines=True)
            case "parquet":
                part.to_parquet(path, index=False)


def guesses(origin) -> dict:
    """The config but for the places of files and the order of columns, which partitions put last."""
    entry = describe("mine", origin).entry
    columns = sorted(map(json.dumps, entry["feature_cols"]))
    return {**entry, "feature_cols": columns, "data_root": "", "train_data": ""}


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_one_file_and_many_parts_give_the_same_config(tmp_path, clicks, ending):
    found = []
    for count in (1, 4, 600):
        write_parts(tmp_path / f"in_{count}", clicks, count, ending)
        found.append(guesses(tmp_path / f"in_{count}"))
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_partitions_give_the_config_of_one_file(tmp_path, clicks):
    write_parts(tmp_path / "one", clicks, 1, "parquet")
    clicks.to_parquet(tmp_path / "hive", partition_cols=["date", "hour"])
    assert guesses(tmp_path / "hive") == guesses(tmp_path / "one")
    assert describe("mine", tmp_path / "hive").remarks[0].startswith("Looked at 6,000 rows of train, all of each of")


def test_a_folder_partitioned_by_the_label_has_both_classes(tmp_path, clicks):
    clicks.to_parquet(tmp_path / "hive", partition_cols=["label"])
    found = describe("mine", tmp_path / "hive")
    assert not any("All labels" in remark for remark in found.remarks)
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    assert prepare_dataset(read_spec("mine", found.entry, tmp_path), workspace).card.rows["test"] > 400


def test_ratings_are_judged_by_those_of_all_partitions(tmp_path, clicks):
    rated = clicks.drop(columns="label").assign(rating=1 + (clicks.item_id + clicks.user_id) % 5)
    rated = rated.assign(part=(rated.rating > 3).astype(int))
    rated.to_parquet(tmp_path / "hive", partition_cols=["part"])
    rated.to_parquet(tmp_path / "one.parquet")
    rules = [
        describe("mine", origin).entry["label_col"]["rule"] for origin in (tmp_path / "hive", tmp_path / "one.parquet")
    ]
    assert rules == [">= 4", ">= 4"]


def test_of_large_folders_parts_all_over_are_looked_at(tmp_path, clicks, monkeypatch):
    write_parts(tmp_path / "clicks", clicks, 60, "csv")
    monkeypatch.setattr(heads, "LOOKED_AT", 20_000)
    said = describe("mine", tmp_path / "clicks").remarks
    assert said[0].startswith("Looked at ")
    assert said[0].endswith("rows of train, the first of 20 of its 60 parts.")
    monkeypatch.setattr(heads, "LOOKED_AT", 4_000)
    assert "rows of train were looked at, although there are more" in " ".join(
        describe("mine", tmp_path / "clicks").remarks
    )


def test_few_rows_of_one_file_are_told(tmp_path, clicks, monkeypatch):
    clicks.to_csv(tmp_path / "clicks.csv", index=False)
    assert "although there are more" not in " ".join(describe("mine", tmp_path / "clicks.csv").remarks)
    monkeypatch.setattr(heads, "LOOKED_AT", 4_000)
    assert "although there are more" in " ".join(describe("mine", tmp_path / "clicks.csv").remarks)


def test_a_column_that_a_part_lacks_is_left_out_and_named(tmp_path, clicks):
    (tmp_path / "clicks").mkdir()
    write_parts(tmp_path / "clicks" / "day=1", clicks, 3, "parquet")
    last = tmp_path / "clicks" / "day=1" / "part-00002.parquet"
    pd.read_parquet(last).drop(columns="price").to_parquet(last)
    found = describe("mine", tmp_path / "clicks")
    assert "Left out, for not every part of train has them: price." in found.remarks
    assert "price" not in [column["name"] for column in found.entry["feature_cols"]]
    prepare_dataset(read_spec("mine", found.entry, tmp_path), Workspace(tmp_path, tmp_path, tmp_path / "cache"))


@pytest.mark.parametrize(
    ("parts", "together"),
    [
        ([[1, 2], [None, None], [3]], [1, 2, None, None, 3]),
        ([[1, 2], [0.5]], ["1", "2", "0.5"]),
        ([[1], ["a"]], ["1", "a"]),
        ([["a"], [["b", "c"]]], ["a", "b^c"]),
        ([[[1]], [["b", "c"]]], [["1"], ["b", "c"]]),
        ([[None], [None]], [None, None]),
    ],
)
def test_types_that_differ_between_parts_are_read_as_text(parts, together):
    assert stacked([pl.DataFrame({"x": part}) for part in parts])["x"].to_list() == together


def test_a_folder_without_rows_is_told(tmp_path):
    for number in range(2):
        (tmp_path / f"part-{number}.csv").write_text("user,label\n")
    with pytest.raises(UserError, match="must hold rows, but has only its header"):
        describe("mine", tmp_path)
