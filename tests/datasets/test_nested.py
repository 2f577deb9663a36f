"""Records inside of columns: every field is a column like any other, whatever the format."""

import json

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from tests.datasets.test_reading import assert_same

ROWS = [
    {
        "user": {"id": f"u{row % 11}", "from": {"city": "abc"[row % 3]}} if row % 13 else None,
        "seen": [{"item": item % 5, "at": item} for item in range(row % 4)],
        "click": int(row % 11 < 5) ^ int(row % 7 == 0),
    }
    for row in range(400)
]
# The same by hand.
FLAT = [
    {
        "user.id": row["user"] and row["user"]["id"],
        "user.from.city": row["user"] and row["user"]["from"]["city"],
        "seen.item": [one["item"] for one in row["seen"]],
        "seen.at": [one["at"] for one in row["seen"]],
        "click": row["click"],
    }
    for row in ROWS
]


def write_jsonl(rows, path):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def write_arrow(rows, path):
    table = pa.Table.from_pylist(rows)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as stream:
        stream.write_table(table, max_chunksize=70)


WRITE = {
    "log.parquet": lambda rows, path: pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=70),
    "log.arrow": write_arrow,
    "log.jsonl": write_jsonl,
}


@pytest.mark.parametrize("name", WRITE)
def test_fields_are_columns_like_any_other(tmp_path, name):
    WRITE[name](ROWS, tmp_path / name)
    header = read_header(tmp_path / name)
    assert header == list(FLAT[0])
    for columns in (header, header[::-1], ["seen.at"]):
        for block_bytes in (None, 500):
            blocks = read_blocks(tmp_path / name, columns, block_bytes=block_bytes)
            read = [row for block in blocks for row in block.frame.rows(named=True)]
            assert read == [{column: row[column] for column in columns} for row in FLAT]


@pytest.mark.parametrize("name", WRITE)
def test_nested_rows_prepare_as_flat_ones(tmp_path, name):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    prepared = []
    for folder, rows in (("nested", ROWS), ("flat", FLAT)):
        (tmp_path / folder).mkdir()
        WRITE[name](rows, tmp_path / folder / name)
        entry = describe("mine", tmp_path / folder).entry
        assert {column["name"] for column in entry["feature_cols"]} >= {"user.id", "user.from.city", "seen.item"}
        prepared.append(prepare_dataset(read_spec("mine", entry, tmp_path), workspace))
    assert_same(*prepared)


def test_a_column_of_its_own_goes_before_a_field_of_its_name(tmp_path):
    write_jsonl([{"a": {"b": 1, "c": 2}, "a.b": 3}], tmp_path / "log.jsonl")
    assert read_header(tmp_path / "log.jsonl") == ["a.c", "a.b"]
    (block,) = read_blocks(tmp_path / "log.jsonl", ["a.b", "a.c"])
    assert block.frame.rows() == [(3, 2)]


def test_a_record_that_a_line_lacks_is_missing(tmp_path):
    write_jsonl([{"a": {"b": 1}}, {}, {"a": None}, {"a": {"b": 2}}], tmp_path / "log.jsonl")
    read = [block.frame["a.b"].to_list() for block in read_blocks(tmp_path / "log.jsonl", ["a.b"], block_bytes=1)]
    assert [value if value is None else int(value) for values in read for value in values] == [1, None, None, 2]


def test_a_map_is_a_list_of_keys_and_one_of_values(tmp_path):
    tags = pa.array([[("a", 1), ("b", 2)], [("c", 3)]], pa.map_(pa.string(), pa.int64()))
    pq.write_table(pa.table({"tags": tags}), tmp_path / "log.parquet")
    (block,) = read_blocks(tmp_path / "log.parquet", ["tags.key", "tags.value"])
    assert block.frame.rows() == [(["a", "b"], [1, 2]), (["c"], [3])]


def test_a_record_itself_is_no_column(tmp_path):
    pl.DataFrame({"a": [{"b": 1}]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(UserError, match="must have the columns a, but lacks a; its header is a.b"):
        list(read_blocks(tmp_path / "log.parquet", ["a"]))


def test_a_file_of_nothing_readable_is_refused(tmp_path):
    pl.DataFrame({"a": [[[1]]], "b": [[b"x"]]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(UserError, match="must hold a column of text, numbers or lists of them, but holds a, b"):
        describe("mine", tmp_path)


records = st.recursive(st.just(0), lambda inner: st.dictionaries(st.sampled_from("xyz"), inner, min_size=1, max_size=3))


@given(st.data(), records.filter(bool))
def test_any_depth_is_flattened_as_by_hand(tmp_path_factory, data, shape):
    def filled(form):
        if not isinstance(form, dict):
            return data.draw(st.integers(-9, 9))
        return {key: filled(inner) for key, inner in form.items()}

    def flat(record, before=""):
        for key, value in record.items():
            yield from flat(value, f"{before}{key}.") if isinstance(value, dict) else [(before + key, value)]

    rows = [filled(shape) for _ in range(3)]
    folder = tmp_path_factory.mktemp("any")
    for name, write in WRITE.items():
        write(rows, folder / name)
        header = read_header(folder / name)
        read = [row for block in read_blocks(folder / name, header) for row in block.frame.rows(named=True)]
        assert read == [dict(flat(row)) for row in rows]
