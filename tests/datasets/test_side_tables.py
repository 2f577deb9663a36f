"""Tables of users and items beside the rows: as if the rows had been joined by hand."""

import re

import numpy as np
import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading import csv_blocks
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns
from tests.datasets.test_reading import assert_same

RANDOM = np.random.default_rng(5)
ROWS, USERS, ITEMS = 600, 40, 25
CLICKS = pl.DataFrame(
    {
        "user_id": [f"u{user}" if user % 13 else None for user in RANDOM.integers(0, USERS, ROWS)],
        "item_id": RANDOM.integers(100, 100 + ITEMS, ROWS),
        "click": RANDOM.integers(0, 2, ROWS),
    }
)
PEOPLE = pl.DataFrame(  # not of every user
    {"user_id": [f"u{user}" for user in range(USERS - 5)], "city": [f"c{user % 4}" for user in range(USERS - 5)]}
)
GOODS = pl.DataFrame(
    {
        "brand": [f"b{item % 3}" if item % 7 else None for item in range(ITEMS)],
        "item_id": range(100, 100 + ITEMS),
        "price": [item / 4 for item in range(ITEMS)],
        "tags": ["^".join(f"t{tag}" for tag in range(item % 4)) for item in range(ITEMS)],
    }
)
BY_HAND = CLICKS.join(PEOPLE, "user_id", "left", maintain_order="left").join(
    GOODS, "item_id", "left", maintain_order="left"
)
FEATURES = [
    {"name": ["user_id", "item_id", "city", "brand"], "type": "categorical", "dtype": "str"},
    {"name": "price", "type": "numeric", "dtype": "float", "fill_na": -1},
    {"name": "tags", "type": "sequence", "dtype": "str", "max_len": 3},
]
WRITE = {
    "csv": pl.DataFrame.write_csv,
    "parquet": pl.DataFrame.write_parquet,
    "jsonl": pl.DataFrame.write_ndjson,
}


def entry_of(folder, ending, **settings):
    return {
        "title": "", "data_root": str(folder), "train_data": f"rows.{ending}", "min_categr_count": 1,
        "feature_cols": FEATURES, "label_col": {"name": "click", "dtype": "float"},
        "split": {"by": "order", "valid": 0.2, "test": 0.2}, **settings,
    }  # fmt: skip


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


@pytest.fixture
def folder(tmp_path):
    """Of csv files."""
    CLICKS.write_csv(tmp_path / "rows.csv")
    PEOPLE.write_csv(tmp_path / "people.csv")
    GOODS.write_csv(tmp_path / "goods.csv")
    return tmp_path


TABLES = {"people.csv": "user_id", "goods.csv": "item_id"}


@pytest.mark.parametrize("rows", WRITE)
@pytest.mark.parametrize("tables", WRITE)
def test_tables_are_joined_as_by_hand(tmp_path, rows, tables, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 1000)
    folders = [tmp_path / "beside", tmp_path / "joined"]
    for folder in folders:
        folder.mkdir()
    beside, joined = folders
    WRITE[rows](CLICKS, beside / f"rows.{rows}")
    WRITE[tables](PEOPLE, beside / f"people.{tables}")
    WRITE[tables](GOODS, beside / f"goods.{tables}")
    BY_HAND.write_csv(joined / "rows.csv")
    named = {f"people.{tables}": "user_id", f"goods.{tables}": "item_id"}
    assert_same(prepared(beside, entry_of(beside, rows, tables=named)), prepared(joined, entry_of(joined, "csv")))


def test_a_changed_table_is_other_data(folder):
    first = prepared(folder, entry_of(folder, "csv", tables=TABLES)).card.fingerprint
    GOODS.with_columns(pl.col("price") + 1).write_csv(folder / "goods.csv")
    assert prepared(folder, entry_of(folder, "csv", tables=TABLES)).card.fingerprint != first


@pytest.mark.parametrize(
    ("goods", "said"),
    [
        (GOODS.rename({"item_id": "id"}), "goods.csv must have the column 'item_id', by which tables joins it, but"),
        (pl.concat([GOODS, GOODS[3:4]]), "goods.csv, line 27: each row must have an id of its own in 'item_id'"),
        (GOODS.with_columns(pl.col("item_id") * 10_000), "goods.csv must hold the ids that the rows have in item_id"),
        (GOODS.drop("brand"), "rows.csv must have the columns that the dataset 'mine' names, but lacks brand"),
        (GOODS[:0], "goods.csv must hold rows, but has only its header"),
    ],
)  # fmt: skip
def test_what_cannot_be_joined_is_refused(folder, goods, said):
    goods.write_csv(folder / "goods.csv")
    with pytest.raises(UserError, match=re.escape(said)):
        prepared(folder, entry_of(folder, "csv", tables=TABLES))


def test_an_id_that_comes_again_in_another_block_is_refused(folder, monkeypatch):
    monkeypatch.setattr(csv_blocks, "BLOCK_BYTES", 60)
    pl.concat([GOODS, GOODS[:1]]).write_csv(folder / "goods.csv")
    with pytest.raises(UserError, match="goods.csv, line 27: .* but '100' stands in several"):
        prepared(folder, entry_of(folder, "csv", tables=TABLES))


@pytest.mark.parametrize("ending", WRITE)
def test_a_table_may_lie_in_parts_that_say_the_same(folder, ending):
    whole = prepared(folder, entry_of(folder, "csv", tables=TABLES))
    for part, rows in (("old", slice(0, 15)), ("new", slice(10, ITEMS))):
        (folder / part).mkdir()
        WRITE[ending](GOODS[rows], folder / part / f"goods.{ending}")
    in_parts = {"people.csv": "user_id", f"*/goods.{ending}": "item_id"}
    assert_same(prepared(folder, entry_of(folder, "csv", tables=in_parts)), whole)
    WRITE[ending](GOODS[10:].with_columns(price=pl.lit(9.5)), folder / "new" / f"goods.{ending}")
    with pytest.raises(UserError, match=f"old/goods.{ending}, .* parts of it differ in what they say of '110'"):
        prepared(folder, entry_of(folder, "csv", tables=in_parts))


def test_a_column_of_several_tables_is_the_first_ones(folder):
    whole = prepared(folder, entry_of(folder, "csv", tables=TABLES))
    GOODS.with_columns(city=pl.lit("x")).write_csv(folder / "goods.csv")
    assert_same(prepared(folder, entry_of(folder, "csv", tables=TABLES)), whole)
    PEOPLE.with_columns(age=pl.lit(7)).write_csv(folder / "people.csv")
    found = describe("mine", folder)
    assert list(found.entry["tables"]) == ["goods.csv", "people.csv"]
    assert any("city stands in goods.csv and in people.csv: that of goods.csv is taken." in r for r in found.remarks)
    assert sum(prepared(folder, found.entry).card.rows.values()) == ROWS


def test_a_table_that_is_not_there_and_one_outside_are_refused(folder):
    with pytest.raises(UserError, match=r"needs nowhere.csv in"):
        prepared(folder, entry_of(folder, "csv", tables={"nowhere.csv": "item_id"}))
    with pytest.raises(UserError, match="lies inside it"):
        read_spec("mine", entry_of(folder, "csv", tables={"../goods.csv": "item_id"}), folder)


def test_describe_tells_rows_from_tables_and_whose_columns_are(folder):
    (folder / "notes.csv").write_text("what,why\na,b\n")
    described = describe("mine", folder)
    entry = described.entry
    assert (entry["train_data"], entry["tables"]) == ("rows.csv", {"goods.csv": "item_id", "people.csv": "user_id"})
    assert entry["feature_sources"] == {"item": ["item_id", "brand", "price", "tags"], "user": ["user_id", "city"]}
    assert (
        "Joined to the rows: goods.csv by item_id (brand, price, tags); people.csv by user_id (city)."
        in described.remarks
    )
    assert "Not read: notes.csv." in described.remarks
    assert sum(prepared(folder, entry).card.rows.values()) == ROWS


def test_describe_joins_tables_to_the_files_of_the_splits(folder):
    (folder / "rows.csv").unlink()
    for split, start in (("train", 0), ("valid", 400), ("test", 500)):
        CLICKS[start : start + 100].write_csv(folder / f"{split}.csv")
    entry = describe("mine", folder).entry
    assert set(entry["tables"]) == {"people.csv", "goods.csv"}
    assert prepared(folder, entry).card.rows == {"train": 100, "valid": 100, "test": 100}


def test_a_file_without_an_id_a_row_is_no_table(folder):
    pl.concat([GOODS, GOODS[:2]]).write_csv(folder / "goods.csv")
    described = describe("mine", folder)
    assert described.entry["tables"] == {"people.csv": "user_id"}
    assert "Not read: goods.csv." in described.remarks


def test_a_table_of_other_ids_or_of_moments_is_none(folder):
    rows = CLICKS.with_columns(timestamp=1_700_000_000 + pl.int_range(ROWS) * 997)
    rows.write_csv(folder / "rows.csv")
    pl.DataFrame({"timestamp": rows["timestamp"], "tag": "x"}).write_csv(folder / "people.csv")
    GOODS.with_columns(pl.col("item_id") + ITEMS - 3).write_csv(folder / "goods.csv")
    described = describe("mine", folder)
    assert "tables" not in described.entry
    assert "Not read: goods.csv, people.csv." in described.remarks


def test_several_files_with_a_label_need_a_word_of_their_owner(folder):
    CLICKS.with_columns(extra=1).write_csv(folder / "more.csv")
    with pytest.raises(UserError, match=r"A column label, click, .* is in more.csv and rows.csv\. .* --label names"):
        describe("mine", folder)
    CLICKS.rename({"click": "bought"}).write_csv(folder / "more.csv")
    described = describe("mine", folder, label="bought")
    assert described.entry["train_data"] == "more.csv"


def test_a_table_may_hold_vectors(folder):
    image = RANDOM.normal(size=(ITEMS, 3)).round(3)
    GOODS.with_columns(image=image).write_parquet(folder / "goods.parquet")
    (folder / "goods.csv").unlink()
    entry = describe("mine", folder).entry | {"split": {"by": "order", "valid": 0.2, "test": 0.2}}
    assert {"name": "image", "type": "embedding", "dtype": "float", "pretrain_dim": 3} in entry["feature_cols"]
    data = prepared(folder, entry)
    stored = np.concatenate([read_columns(data.split_folder(split))["image"] for split in SPLITS])
    np.testing.assert_array_equal(stored, image[CLICKS["item_id"].to_numpy() - 100].astype(np.float32))
