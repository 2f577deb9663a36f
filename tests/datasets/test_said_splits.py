"""Folders in which the user says which file holds train, valid or test."""

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.own_data import describe_own
from fuxi_plugins.datasets.prepare import prepare_dataset

RANDOM = np.random.default_rng(5)


def rows(count):
    return pl.DataFrame(
        {
            "user_id": RANDOM.integers(0, 9, count),
            "item_id": RANDOM.integers(0, 9, count),
            "click": [0, 1] * (count // 2),
        }
    )


def write(folder, **files):
    for name, frame in files.items():
        frame.write_csv(folder / f"{name}.csv")


def splits(found):
    return {key: name for key, name in found.entry.items() if key.endswith("_data")}


def test_two_logs_of_the_same_columns_with_a_table_beside_them(tmp_path):
    """As KuaiRec's big and small matrix, which no name tells apart."""
    users = pl.DataFrame({"user_id": range(9), "age": [20 + user for user in range(9)]})
    write(tmp_path, big=rows(400), small=rows(100), users=users)
    with pytest.raises(UserError, match="click is in big.csv and small.csv. --train FILE says which"):
        describe("mine", tmp_path, "click")
    found = describe("mine", tmp_path, splits={"train": "big.csv", "test": "small.csv"})
    assert splits(found) == {"train_data": "big.csv", "test_data": "small.csv"}
    data = prepare_dataset(
        read_spec("mine", found.entry, tmp_path), Workspace(tmp_path, tmp_path, tmp_path.parent / "cache")
    )
    assert data.card.rows["train"] + data.card.rows["valid"] == 400
    assert data.card.rows["test"] == 100
    assert "age" in {column["name"] for column in found.entry["feature_cols"]}
    alone = describe("mine", tmp_path, splits={"train": "big.csv"})
    assert splits(alone) == {"train_data": "big.csv"}
    assert "Not read: small.csv." in alone.remarks


def test_a_file_serves_the_split_that_is_said_and_not_the_one_of_its_name(tmp_path):
    """The development set is the test set of papers whose test labels are not published."""
    write(tmp_path, train=rows(400), dev=rows(100), test=rows(60).drop("click"))
    by_name = describe("mine", tmp_path)
    assert splits(by_name) == {"train_data": "train.csv", "valid_data": "dev.csv"}
    assert splits(describe("mine", tmp_path, splits={"test": "dev.csv"})) == {
        "train_data": "train.csv",
        "test_data": "dev.csv",
    }


def test_a_pattern_stands_for_several_files(tmp_path):
    write(tmp_path, **{f"day_{day}": rows(100) for day in ("01", "02", "03", "10")})
    found = describe("mine", tmp_path, splits={"train": "day_0*.csv", "test": "day_10.csv"})
    assert splits(found) == {"train_data": "day_0*.csv", "test_data": "day_10.csv"}
    with pytest.raises(
        UserError, match="--train must say which files have the rows of day_01.csv, day_02.csv, day_03.csv"
    ):
        describe("mine", tmp_path, splits={"test": "day_10.csv"})


def test_the_only_other_file_with_a_label_is_train(tmp_path):
    write(tmp_path, log=rows(200), held_out=rows(50), items=pl.DataFrame({"item_id": range(9), "price": range(9)}))
    found = describe("mine", tmp_path, splits={"test": "held_out.csv"})
    assert splits(found) == {"train_data": "log.csv", "test_data": "held_out.csv"}


def test_a_log_is_taken_by_its_name(tmp_path):
    log = rows(300).drop("click").with_columns(timestamp=pl.Series(range(1_600_000_000, 1_600_000_300)))
    write(tmp_path, january=log, february=log)
    (tmp_path / "configs").mkdir()
    result = CliRunner().invoke(
        main,
        ["--configs", str(tmp_path / "configs"), "data", "describe", "mine", "--from", str(tmp_path),
         "--train", "january.csv", "--interactions"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "file: january.csv" in result.output
    assert "Not read: february.csv." in result.output


@pytest.mark.parametrize("separator", ["", "1:"])
def test_libsvm_files_are_taken_by_what_is_said(tmp_path, separator):
    for name, count in (("old.txt", 100), ("new.txt", 40)):
        (tmp_path / name).write_text(
            "".join(f"{n % 2} {separator}{n % 7}:1 {separator}{10 + n % 5}:1\n" for n in range(count))
        )
    workspace = Workspace(tmp_path / "w" / "configs", tmp_path / "w" / "results", tmp_path / "w" / "cache")
    told = describe_own("mine", tmp_path, workspace, splits={"train": "old.txt", "test": "new.txt"})
    assert "train_data: train.parquet" in told.text
    assert "test_data: test.parquet" in told.text
    assert pl.read_parquet(tmp_path / "w" / "decoded" / "mine" / "test.parquet").height == 40


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"test": "tets.csv"}, "--test must name a data file in .* but is 'tets.csv'. There are: big.csv, small.csv"),
        ({"train": "big.csv", "test": "b*"}, "--train big.csv and --test b\\* must name different files, but both"),
        ({"dev": "small.csv"}, "splits are named train, valid, test, but dev was said"),
    ],
)
def test_what_is_said_must_be_there_and_once(tmp_path, said, message):
    write(tmp_path, big=rows(100), small=rows(50))
    with pytest.raises(UserError, match=message):
        describe("mine", tmp_path, splits=said)


def test_nothing_is_said_of_the_splits_of_one_file(tmp_path):
    write(tmp_path, big=rows(100))
    with pytest.raises(UserError, match="--test small.csv: files of splits are named in a folder, but --from names"):
        describe("mine", tmp_path / "big.csv", splits={"test": "small.csv"})
