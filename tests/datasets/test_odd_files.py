"""Files that are written in ways of their own are described and prepared rightly, or refused with the remedy."""

import csv
import datetime
import decimal
import io
import json
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.dates import seconds
from fuxi_plugins.datasets.spec import SPLITS
from fuxi_plugins.datasets.store import read_columns

ROWS = 300
START = datetime.datetime(2026, 3, 1)


def table() -> dict[str, list]:
    random = np.random.default_rng(0)
    return {
        "user_id": [f"u{user}" for user in random.integers(0, 30, ROWS)],
        "item_id": random.integers(0, 40, ROWS).tolist(),
        "label": (random.random(ROWS) < 0.4).astype(int).tolist(),
    }


def as_csv(columns: dict[str, list], separator=",") -> str:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=separator, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return file.getvalue()


def with_column(name: str, values: list, arrow_type=None) -> pa.Table:
    return pa.table(table()).append_column(name, pa.array(values, type=arrow_type))


def described(folder):
    """What is said, and each column's settings; the config prepares all rows."""
    found = describe("mine", folder)
    prepared = prepare_dataset(read_spec("mine", found.entry, folder), workspace_of(folder))
    assert sum(prepared.card.rows.values()) == ROWS * sum(f"{split}_data" in found.entry for split in SPLITS)
    named = {column["name"]: column for column in found.entry["feature_cols"]}
    return " ".join(found.remarks), named, found, prepared


def workspace_of(folder):
    return Workspace(folder, folder, folder.parent / "cache")


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "data"
    made.mkdir()
    return made


@pytest.mark.parametrize("separator", [" ", "^", "\x01", "||", ", ", "::", ";"])
def test_every_separator_gives_the_same_rows(folder, separator):
    (folder / "data.csv").write_text(as_csv(table()))
    expected = described(folder)[3]
    (folder / "data.csv").write_text(as_csv(table()).replace(",", separator))
    _, _, found, prepared = described(folder)
    assert found.entry["separator"] == separator
    for split in SPLITS:
        columns = read_columns(prepared.split_folder(split))
        for name, values in read_columns(expected.split_folder(split)).items():
            np.testing.assert_array_equal(values, columns[name])


LEFT_OUT = {
    "a list of lists": ("sessions", [[[1, 2], [row % 4]] for row in range(ROWS)], "neither text nor numbers"),
    "a duration": ("took", [datetime.timedelta(seconds=row) for row in range(ROWS)], "neither text nor numbers"),
    "vectors of two lengths": ("vector", [[2.5, row / 4][: 1 + row % 2] for row in range(ROWS)], "differ in length"),
    "nothing": ("void", [None] * ROWS, "hold no value"),
    "missing in words": ("void", ["NA"] * ROWS, "hold no value"),
    "a decimal comma": ("price", [f"{row % 9},{row % 7}5" for row in range(ROWS)], "a comma stands in their numbers"),
    "thousands": ("views", [f"{row % 9 + 1},{row % 4}00" for row in range(ROWS)], "a comma stands in their numbers"),
}


@pytest.mark.parametrize(("name", "values", "why"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_what_no_model_takes_is_left_out_and_named(folder, name, values, why):
    pq.write_table(with_column(name, values), folder / "data.parquet")
    said, columns, _, _ = described(folder)
    assert why in said
    assert not columns.get(name, {"active": False})["active"]


def test_an_unreadable_column_that_a_config_names_is_an_error(folder):
    pq.write_table(with_column("sessions", [[[1]]] * ROWS), folder / "data.parquet")
    entry = describe("mine", folder).entry
    entry["feature_cols"] += [{"name": "sessions", "type": "categorical", "dtype": "str"}]
    with pytest.raises(UserError, match="column 'sessions' must hold text, numbers or lists of them, but holds List"):
        prepare_dataset(read_spec("mine", entry, folder), workspace_of(folder))


A_DICTIONARY = {"texts": pa.dictionary(pa.int8(), pa.string()), "numbers": pa.dictionary(pa.int8(), pa.int64())}
TAKEN = {
    "a large decimal without fraction is an id": (
        [decimal.Decimal(10**20 + row % 5) for row in range(ROWS)], pa.decimal128(30, 0), "categorical", 5,
    ),
    "a decimal with a fraction is a number": (
        [decimal.Decimal(row % 50) / 4 for row in range(ROWS)], pa.decimal128(10, 2), "numeric", 50,
    ),
    "half floats are numbers": ((np.arange(ROWS) % 9 / 7).tolist(), pa.float16(), "numeric", 9),
    "a dictionary of texts": ([f"c{row % 6}" for row in range(ROWS)], A_DICTIONARY["texts"], "categorical", 6),
    "a dictionary of numbers": ([row % 6 for row in range(ROWS)], A_DICTIONARY["numbers"], "categorical", 6),
    "a time of day": ([datetime.time(row % 24) for row in range(ROWS)], None, "categorical", 24),
    "negative ids": ([-(10**17) - row % 3 for row in range(ROWS)], None, "categorical", 3),
}  # fmt: skip


@pytest.mark.parametrize(("values", "arrow_type", "kind", "distinct"), TAKEN.values(), ids=TAKEN)
def test_types_of_parquet_keep_their_values(folder, values, arrow_type, kind, distinct):
    pq.write_table(with_column("x", values, arrow_type), folder / "data.parquet")
    _, columns, _, prepared = described(folder)
    assert columns["x"]["type"] == kind
    assert len(np.unique(read_columns(prepared.split_folder("train"))["x"])) == distinct


def test_times_with_a_zone_divide_the_rows(folder):
    """The zones of the texts differ, so that their order as texts is another."""
    moments = [START + datetime.timedelta(minutes=7 * row) for row in range(ROWS)]
    zones = [datetime.timezone(datetime.timedelta(hours=row % 5 - 2, minutes=30)) for row in range(ROWS)]
    texts = [
        moment.replace(tzinfo=datetime.UTC).astimezone(zone).isoformat()
        for moment, zone in zip(moments, zones, strict=True)
    ]
    np.testing.assert_array_equal(
        seconds(pl.Series(texts)).to_numpy(), [moment.replace(tzinfo=datetime.UTC).timestamp() for moment in moments]
    )
    (folder / "data.csv").write_text(as_csv(table() | {"event_time": texts}))
    _, _, found, prepared = described(folder)
    assert found.entry["split"]["by"] == "time"
    labels = read_columns(prepared.split_folder("test"))["label"]
    np.testing.assert_array_equal(labels, table()["label"][-60:])


def test_names_that_groups_usually_get_may_be_taken(folder):
    taken = {name: [row % 7 for row in range(ROWS)] for name in ("group_id", "group_id_2", "index", "Label")}
    (folder / "data.csv").write_text(as_csv(table() | taken))
    _, columns, found, _ = described(folder)
    assert found.entry["group_id"] == "group_id_3"
    assert columns["group_id"]["type"] == "categorical"


def test_a_label_of_probabilities_is_halved(folder):
    labels = np.round(np.random.default_rng(1).random(ROWS), 3).tolist()
    (folder / "data.csv").write_text(as_csv(table() | {"label": labels}))
    said, _, found, _ = described(folder)
    assert found.entry["label_col"]["rule"] == ">= 0.5"
    assert "a share between 0 and 1" in said


def test_a_column_that_not_every_file_has_is_left_out(folder):
    for split in SPLITS:
        extra = {"price": [0.5] * ROWS} if split != "valid" else {}
        (folder / f"{split}.csv").write_text(as_csv(table() | extra))
    said, columns, _, _ = described(folder)
    assert "Left out, for not every file has them: price." in said
    assert "price" not in columns


def test_what_a_mac_adds_to_an_archive_is_no_data(folder):
    with zipfile.ZipFile(folder / "data.csv.zip", "w") as archive:
        archive.writestr("data.csv", as_csv(table()))
        archive.writestr("__MACOSX/._data.csv", b"\0\1")
    described(folder)


def twice_in_parquet(folder):
    pq.write_table(with_column("item_id", [1] * ROWS), folder / "data.parquet")


REFUSED = {
    "UTF-16": (lambda f: (f / "data.csv").write_text(as_csv(table()), "utf-16"), "looks like UTF-16.*iconv -f utf-16"),
    "UTF-16 without a mark": (lambda f: (f / "data.csv").write_text(as_csv(table()), "utf-16-be"), "looks like UTF-16"),
    "a name twice in parquet": (twice_in_parquet, "each column must have a name of its own, but item_id stands twice"),
    "a JSON array": (lambda f: (f / "data.json").write_text(json.dumps([{"label": 1}])), "jq -c '.\\[\\]' data.json"),
    "a file of another kind": (
        lambda f: (f / "data.xlsx").write_bytes(b"PK\x03\x04\x14\0\6\0" * 9),
        "an Excel workbook or an npz file",
    ),
    "files of other kinds": (
        lambda f: [(f / name).write_text("x") for name in ("a.xlsx", "b.pkl")],
        "holds no such file, only a.xlsx, b.pkl",
    ),
}


@pytest.mark.parametrize(("write", "said"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_used_is_refused_with_the_remedy(folder, write, said):
    write(folder)
    with pytest.raises(UserError, match=said):
        describe("mine", folder)
