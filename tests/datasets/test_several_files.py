"""Splits that several numbered files hold, as the Hugging Face hub keeps them: found, read, prepared and imported."""

import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.found_files import find_files
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.sources.install import import_files, verify_files
from tests.datasets.test_reading import assert_same

SHARDS = {
    "train-00000-of-00002": range(300), "train-00001-of-00002": range(300, 600),
    "validation-00000-of-00001": range(600, 700), "test-00000-of-00001": range(700, 800),
}  # fmt: skip
WRITE = {".csv": pl.DataFrame.write_csv, ".parquet": pl.DataFrame.write_parquet}


def rows(numbers) -> pl.DataFrame:
    return pl.DataFrame(
        {"user": [f"u{n % 11}" for n in numbers], "click": [int(n % 11 < 5) ^ (n % 7 == 0) for n in numbers]}
    )


def write(folder, files, ending):
    folder.mkdir(parents=True)
    for name, numbers in files.items():
        WRITE[ending](rows(numbers), folder / f"{name}{ending}")


@pytest.mark.parametrize("ending", WRITE)
def test_numbered_files_prepare_as_one_file_does(tmp_path, ending):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write(tmp_path / "hub" / "data", SHARDS, ending)
    (tmp_path / "hub" / "README.md").write_text("# A dataset\n")
    found = describe("mine", tmp_path / "hub")
    assert found.entry["data_root"] == str(tmp_path / "hub" / "data")
    assert found.entry["train_data"] == f"train-*-of-00002{ending}"
    assert f"The files train-*-of-00002{ending} together are train." in found.remarks
    write(tmp_path / "whole", {"train": range(600), "valid": range(600, 700), "test": range(700, 800)}, ending)
    whole = describe("mine", tmp_path / "whole")
    assert_same(*(prepare_dataset(read_spec("mine", one.entry, tmp_path), workspace) for one in (found, whole)))


def test_another_file_of_a_pattern_makes_other_data(tmp_path):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write(tmp_path / "hub", SHARDS, ".csv")
    spec = read_spec("mine", describe("mine", tmp_path / "hub").entry, tmp_path)
    assert prepare_dataset(spec, workspace).card.rows["train"] == 600
    rows(range(50)).write_csv(tmp_path / "hub" / "train-00009-of-00002.csv")
    assert prepare_dataset(spec, workspace).card.rows["train"] == 650


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["train_0.csv", "train_1.csv", "test.csv"], {"train": "train_*.csv", "test": "test.csv"}),
        (["train1.csv", "train2.csv", "train10.csv"], {"train": "train*.csv"}),
        (["part-1-train.csv", "part-2-train.csv"], {"train": "part-*-train.csv"}),
        (["train.csv", "train_1.csv"], {"train": "train.csv"}),  # the whole beside a part of it
        (["train_a1.csv", "train_b2.csv"], {"train": "."}),  # no numbers of one series: parts of one table
    ],
)  # fmt: skip
def test_names_are_numbered_or_left_alone(tmp_path, files, names):
    for file in files:
        (tmp_path / file).write_text("click,user\n0,1\n")
    assert find_files(tmp_path).names == names


def test_the_files_of_a_pattern_are_imported_together(tmp_path):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write(tmp_path / "from", SHARDS, ".csv")
    spec = read_spec("mine", describe("mine", tmp_path / "from").entry | {"data_root": None}, tmp_path)
    folder = import_files(spec, tmp_path / "from", workspace)
    assert {path.name for path in folder.iterdir()} == {f"{name}.csv" for name in SHARDS}
    assert all(state.in_order for state in verify_files(spec, folder))
    assert prepare_dataset(spec, workspace).card.rows == {"train": 600, "valid": 100, "test": 100}


def test_the_files_of_a_pattern_of_folders_keep_their_places(tmp_path):
    workspace = Workspace(tmp_path, tmp_path, tmp_path / "cache")
    write(tmp_path / "from", {"train": range(300)}, ".csv")
    for folder, ages in (("old", {"u1": 20, "u2": 30}), ("new", {"u2": 30, "u3": 40})):
        (tmp_path / "from" / folder).mkdir()
        people = pl.DataFrame({"user": list(ages), "age": list(ages.values())})
        people.write_csv(tmp_path / "from" / folder / "people.csv")
    ages = {"name": "age", "type": "categorical", "dtype": "str"}
    entry = {"title": "", "train_data": "train.csv", "split": {"by": "order", "valid": 0.2, "test": 0.2},
             "tables": {"*/people.csv": "user"}, "files": {"train.csv": "", "*/people.csv": ""},
             "feature_cols": [ages], "label_col": {"name": "click", "dtype": "float"}}  # fmt: skip
    spec = read_spec("mine", entry, tmp_path)
    folder = import_files(spec, tmp_path / "from", workspace)
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")} == {
        "train.csv", "old/people.csv", "new/people.csv"}  # fmt: skip
    assert sum(prepare_dataset(spec, workspace).card.rows.values()) == 300


def test_a_pattern_that_no_file_has_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"must hold files called train-\*\.csv, but holds none"):
        read_header(tmp_path / "train-*.csv")
    rows(range(9)).write_csv(tmp_path / "train-1.csv")
    rows(range(9)).drop("click").write_csv(tmp_path / "train-2.csv")
    with pytest.raises(UserError, match=r"train-2\.csv must have the columns user, click, but lacks click"):
        list(read_blocks(tmp_path / "train-*.csv", ["user", "click"]))
