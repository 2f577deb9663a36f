"""The column store against FuxiCTR's own build, and what a changed input does to it."""

import logging

import numpy as np
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import load_dataset_spec
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.store import MatrixWriter, read_columns, smallest_integer
from fuxi_plugins.training.feature_maps import load_feature_map
from tests.conftest import write
from tests.datasets.reference import assert_same_ids, fuxictr_build


def prepare_tiny(workspace):
    return prepare_dataset(load_dataset_spec(workspace.configs, "tiny"), workspace)


def test_ids_and_numbers_are_those_of_fuxictrs_build_dataset(workspace, tmp_path):
    spec = load_dataset_spec(workspace.configs, "tiny")
    assert_same_ids(prepare_tiny(workspace), fuxictr_build(spec, tmp_path / "csv", tmp_path))


def test_a_second_call_reuses_the_store(workspace):
    first = prepare_tiny(workspace)
    written = (first.folder / "card.json").stat().st_mtime_ns
    second = prepare_tiny(workspace)
    assert second == first
    assert (second.folder / "card.json").stat().st_mtime_ns == written


@pytest.mark.parametrize("change", ["a file", "a setting"])
def test_a_change_gives_another_fingerprint_and_another_store(workspace, tmp_path, change):
    before = prepare_tiny(workspace)
    if change == "a file":
        test = tmp_path / "csv" / "test.csv"
        test.write_text(test.read_text() + "1,3,s2,0.5,s1\n")
    else:
        config = workspace.configs / "dataset_config" / "tiny.yaml"
        config.write_text(config.read_text().replace("min_categr_count: 1", "min_categr_count: 2"))
    after = prepare_tiny(workspace)
    assert after.card.fingerprint != before.card.fingerprint
    assert after.folder != before.folder
    assert before.folder.exists()


def test_the_title_is_not_part_of_the_fingerprint(workspace):
    before = prepare_tiny(workspace)
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("A tiny dataset", "Another title"))
    assert prepare_tiny(workspace).card.fingerprint == before.card.fingerprint


TOLD = "feature_sources: {user: [user, shops], item: [shop]}"


def test_whose_a_column_is_changes_no_data_and_is_what_the_config_says_now(workspace):
    listed = prepare_tiny(workspace)
    assert sources(listed) == {"user": "user", "shop": "item", "price": "", "shops": "user", "group": ""}
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    by_column = config.read_text().replace(TOLD, "").replace("{name: shop, ", "{name: shop, source: item, ")
    config.write_text(by_column)
    changed = prepare_tiny(workspace)
    assert (changed.folder, changed.card) == (listed.folder, listed.card)
    assert sources(changed) == {"user": "", "shop": "item", "price": "", "shops": "", "group": ""}


def sources(data):
    return {name: feature["source"] for name, feature in load_feature_map(data, 4).features.items()}


@pytest.mark.parametrize(
    ("told", "wrong"),
    [("{item: [shop, shopp]}", "shopp"), ("{item: [shop], user: [shop]}", "shop"), ("{item: [price]}", "price")],
)
def test_a_column_has_one_source_and_is_there(workspace, told, wrong):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    text = config.read_text().replace("{name: price, ", "{name: price, source: user, ")
    config.write_text(text.replace(TOLD, f"feature_sources: {told}"))
    with pytest.raises(UserError, match=rf"each once, which does not hold for \['{wrong}'\]"):
        load_dataset_spec(workspace.configs, "tiny")


def test_chunks_do_not_change_what_is_stored(workspace, tmp_path, monkeypatch):
    whole = prepare_tiny(workspace)
    monkeypatch.setattr("fuxi_plugins.datasets.reading.csv_blocks.BLOCK_BYTES", 100)
    monkeypatch.setenv("FUXIBENCH_CACHE", str(tmp_path / "cache2"))
    chunked = prepare_tiny(Workspace.locate(workspace.configs, workspace.results))
    for split in ("train", "valid", "test"):
        for name, column in read_columns(whole.split_folder(split)).items():
            np.testing.assert_array_equal(column, read_columns(chunked.split_folder(split))[name])


def test_no_pickle_stays_and_logging_is_left_alone(workspace):
    handlers = list(logging.root.handlers)
    prepared = prepare_tiny(workspace)
    assert not list(prepared.folder.rglob("*.pkl"))
    assert logging.root.handlers == handlers


def spoil(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "label,user,shop,price,shops",
            "label,user,shop,prize,shops",
            "lacks price; its header is label, user",
        ),
        (
            None,
            "1,3,s2,cheap,s1",
            r"train.csv, line 602: column 'price' must hold a number of at most 3.4e38, but holds 'cheap'",
        ),
        (None, "1,3,s2,NaN,s1", r"train.csv, line 602: column 'price' must hold a number .*, but holds 'NaN'"),
        (None, "1,three,s2,1.5,s1", r"train.csv, line 602: column 'user' must hold a whole number"),
        (None, "2,3,s2,1.5,s1", r"train.csv, line 602: the label 'label' must be 0 or 1, but is '2'"),
        (None, "nan,3,s2,1.5,s1", r"line 602: the label 'label' must be 0 or 1, but is 'nan'"),
        (
            None,
            ",3,s2,1.5,s1",
            r"a label, 'label', but of the rows 1 of 601 in train.csv have none \(the first: .*line 602",
        ),
    ],
)
def test_bad_data_name_file_line_and_remedy_and_leave_nothing(workspace, tmp_path, old, new, message):
    train = tmp_path / "csv" / "train.csv"
    if old:
        spoil(train, old, new)
    else:
        train.write_text(train.read_text() + new + "\n")
    with pytest.raises(UserError, match=message):
        prepare_tiny(workspace)
    assert not [path for path in (tmp_path / "cache" / "datasets" / "tiny").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["label,user,shop,price,shops"], "valid.csv must hold rows"),
        ([], "valid.csv must hold a header and rows, but is empty"),
        (
            ["label,user,shop,price,shops", "1,3,s2,1.5,s1", "1,4,s2,1.5,s1"],
            "valid.csv: every split needs both classes",
        ),
        (
            ["label,user,shop,price,shops", "1,3,s2,1.5,s1,7,8", "0,4,s2,1.5,s1"],
            "valid.csv, line 2: a row must have as many values as the header, 5, but has 7",
        ),
    ],
)
def test_an_empty_or_one_sided_split_is_refused(workspace, tmp_path, lines, message):
    write(tmp_path / "csv" / "valid.csv", "\n".join(lines))
    with pytest.raises(UserError, match=message):
        prepare_tiny(workspace)


def test_a_column_without_frequent_values_is_named_as_the_reason(workspace):
    config = workspace.configs / "dataset_config" / "tiny.yaml"
    config.write_text(config.read_text().replace("min_categr_count: 1", "min_categr_count: 1000"))
    with pytest.raises(UserError, match="min_categr_count=1000"):
        prepare_tiny(workspace)


def test_a_missing_number_is_filled_as_fuxictr_does(workspace, tmp_path):
    spoil(tmp_path / "csv" / "train.csv", "shops\n", "shops\n1,3,s2,,s1\n")
    prices = read_columns(prepare_tiny(workspace).split_folder("train"))["price"]
    assert np.isfinite(prices).all()


def test_a_writer_that_is_short_of_rows_says_so(tmp_path):
    writer = MatrixWriter(tmp_path, 3, {"x": (np.dtype(np.int16), 0)})
    writer.append({"x": np.array([1, 2])})
    with pytest.raises(ValueError, match="3 rows were announced, but 2 written"):
        writer.close()


@pytest.mark.parametrize(("largest", "dtype"), [(255, np.int32), (2**31 - 1, np.int32), (2**31, np.int64)])
def test_the_smallest_integer_that_fits(largest, dtype):
    assert smallest_integer(largest) == dtype
