"""Files of libsvm and libffm: the same columns as those that their rows were written from."""

import gzip

import numpy as np
import polars as pl
import pytest
import yaml

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets import libsvm
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.own_data import describe_own
from fuxi_plugins.datasets.libsvm import write_parquet
from fuxi_plugins.datasets.prepare import prepare_dataset

RANDOM = np.random.default_rng(3)
ROWS = 500
LABELS = RANDOM.integers(0, 2, ROWS).tolist()
USERS = RANDOM.integers(0, 30, ROWS).tolist()
ITEMS = (100 + RANDOM.integers(0, 20, ROWS)).tolist()
PRICES = [round(float(price), 3) for price in RANDOM.random(ROWS)]
TAGS = [sorted({200 + int(tag) for tag in RANDOM.integers(0, 9, count)}) for count in RANDOM.integers(0, 4, ROWS)]


def workspace_of(path):
    return Workspace(path / "benchmark_configs", path / "results", path / ".cache")


def ffm(row):
    tags = [f"3:{tag}:1" for tag in TAGS[row]]
    return " ".join([str(LABELS[row]), f"0:{USERS[row]}:1", f"1:{ITEMS[row]}:1", f"2:99:{PRICES[row]}", *tags])


@pytest.mark.parametrize("block", [64, 8 << 20])
def test_libffm_has_a_column_for_each_field(tmp_path, monkeypatch, block):
    monkeypatch.setattr(libsvm, "_BLOCK_BYTES", block)
    (tmp_path / "train.ffm").write_text("\n".join(map(ffm, range(ROWS))))  # without a line end behind the last row
    write_parquet({"train": tmp_path / "train.ffm"}, tmp_path / "new")
    table = pl.read_parquet(tmp_path / "new" / "train.parquet")
    assert table["label"].to_list() == LABELS
    assert table["field_0"].to_list() == USERS
    assert table["field_1"].to_list() == ITEMS
    assert table["field_2"].to_list() == PRICES
    assert [tags or [] for tags in table["field_3"].to_list()] == TAGS


def test_rows_of_libsvm_that_are_of_one_length_have_a_column_for_each_place(tmp_path):
    rows = [
        f"{2 * label - 1}\t{user}:1 {item}:1 99:{price}  # a row"
        for label, user, item, price in zip(LABELS, USERS, ITEMS, PRICES, strict=True)
    ]
    (tmp_path / "log.txt").write_text("\r\n".join(rows) + "\r\n\r\n")
    write_parquet({"train": tmp_path / "log.txt"}, tmp_path)
    table = pl.read_parquet(tmp_path / "train.parquet")
    assert table.to_dict(as_series=False) == {
        "label": [2 * label - 1 for label in LABELS], "field_1": USERS, "field_2": ITEMS, "field_3": PRICES,
    }  # fmt: skip


def test_rows_of_libsvm_that_differ_in_length_have_a_column_for_each_index(tmp_path):
    values = np.where(RANDOM.random((ROWS, 6)) < 0.5, np.round(RANDOM.random((ROWS, 6)), 3), 0.0)
    rows = [
        " ".join([str(label), *(f"{index}:{value}" for index, value in enumerate(row) if value)])
        for label, row in zip(LABELS, values, strict=True)
    ]
    (tmp_path / "a9a").write_text("\n".join([*rows, "1 0:0.5 5:0.5", "0"]) + "\n")
    write_parquet({"train": tmp_path / "a9a"}, tmp_path)
    table = pl.read_parquet(tmp_path / "train.parquet")
    np.testing.assert_array_equal(table.drop("label").to_numpy()[:-2], values)
    assert table.columns[1:] == [f"feature_{index}" for index in range(6)]


def test_values_of_ids_are_left_out_and_said(tmp_path):
    (tmp_path / "train.ffm").write_text("1 0:7:0.5 1:3:1\n0 0:8:0.25 1:4:1\n")
    said = write_parquet({"train": tmp_path / "train.ffm"}, tmp_path)
    assert "Ids are taken without their values, which differ: field_0." in said


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("1 0:7:1 1:3:1\n0 0:8:1 x\n", r"train.svm, line 2: a row must be a label and entries.*'0 0:8:1 x'"),
        ("1 0:7:1 1:3:1\n0 8:1 3:1\n", "all rows must be of libsvm or all of libffm"),
        ("click 7:1 3:1\n", "must begin with a number, its label"),
        ("1 " + " ".join(f"{index}:1" for index in range(2000)) + "\n0 7:1\n", "but have 1 to 2000 entries and more"),
    ],
)
def test_other_rows_are_refused(tmp_path, rows, message):
    (tmp_path / "train.svm").write_text(rows)
    with pytest.raises(UserError, match=message):
        write_parquet({"train": tmp_path / "train.svm"}, tmp_path)
    assert not (tmp_path / "train.parquet").exists()


@pytest.mark.parametrize("names", ["frappe.{}.libfm", "{}.ffm", "criteo-{}.svm.gz"])
def test_a_folder_of_splits_trains(tmp_path, names):
    workspace = workspace_of(tmp_path)
    (tmp_path / "given").mkdir()
    for split, rows in (("train", range(300)), ("validation", range(300, 400)), ("test", range(400, ROWS))):
        text = "\n".join(map(ffm, rows)).encode()
        if names.endswith(".gz"):
            text = gzip.compress(text)
        (tmp_path / "given" / names.format(split)).write_bytes(text)
    (tmp_path / "given" / "README").write_text("1 2:3 4:5\n")
    own = describe_own("mine", tmp_path / "given", workspace)
    assert own.remarks[0] == "Rows of libffm: a column for each field."
    assert "describe them again" in own.remarks[1]
    prepared = prepare_dataset(read_spec("mine", yaml.safe_load(own.text)["mine"], own.config), workspace)
    assert prepared.card.rows == {"train": 300, "valid": 100, "test": 100}


def test_nothing_is_left_where_the_files_cannot_be_described(tmp_path):
    (tmp_path / "train.ffm").write_text("1 0:7:1 1:3:1\n" * 5)
    with pytest.raises(UserError, match="clicked"):
        describe_own("mine", tmp_path / "train.ffm", workspace_of(tmp_path), label="clicked")
    assert not workspace_of(tmp_path).decoded_folder("mine").exists()


def test_several_files_without_the_names_of_splits_are_refused(tmp_path):
    for name in ("one.ffm", "two.ffm"):
        (tmp_path / name).write_text("\n".join(map(ffm, range(ROWS))))
    with pytest.raises(UserError, match="must name one file of libsvm or libffm after each of train.*one.ffm, two.ffm"):
        describe_own("mine", tmp_path, workspace_of(tmp_path / "elsewhere"))
