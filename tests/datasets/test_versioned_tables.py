"""Tables that keep rows of older versions are refused, wherever one looks into them."""

import polars as pl
import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset

FRAME = pl.DataFrame({"user": list("abcabc") * 20, "label": [0, 1] * 60})
# Of each kind: a file that tells of its versions, a file of its rows, and what it is called.
TABLES = {
    "delta": ("_delta_log/00000000000000000000.json", "part-00000-a.parquet", "a Delta Lake table"),
    "iceberg": ("metadata/00001-0a.metadata.json", "data/00000-0-a.parquet", "an Iceberg table"),
    "hudi": (".hoodie/hoodie.properties", "0a_0-1-0.parquet", "a Hudi table"),
}


def write_table(folder, kind):
    of_versions, *rows, what = TABLES[kind]
    for name in [of_versions, *rows, *(row.replace("a.", "b.") for row in rows)]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".parquet"):
            FRAME.write_parquet(folder / name)
        else:
            (folder / name).write_text("{}")
    return what


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_several_versions_is_refused(tmp_path, kind):
    table = tmp_path / "lake" / "clicks"
    what = write_table(table, kind)
    message = f"clicks must hold the rows of one version, but is {what} .* older versions.* Export the current version"
    origins = [table, tmp_path / "lake", *([table / "data"] if kind == "iceberg" else [])]
    for origin in origins:
        with pytest.raises(UserError, match=message):
            describe("mine", origin)


@pytest.mark.parametrize("kind", TABLES)
@pytest.mark.parametrize("as_pattern", [False, True])
def test_it_is_refused_where_a_config_names_it_too(tmp_path, kind, as_pattern):
    table = tmp_path / "clicks"
    write_table(table, kind)
    name = TABLES[kind][1].replace("-a", "-*").replace("0a_", "*_") if as_pattern else "."
    entry = {
        "title": "mine", "data_root": str(table), "train_data": name, "data_format": "parquet",
        "split": {"by": "order", "valid": 0.2, "test": 0.2}, "label_col": {"name": "label", "dtype": "float"},
        "feature_cols": [{"name": "user", "type": "categorical", "dtype": "str"}],
    }  # fmt: skip
    spec = read_spec("mine", entry, tmp_path)
    with pytest.raises(UserError, match="must hold the rows of one version"):
        prepare_dataset(spec, Workspace(tmp_path, tmp_path, tmp_path / "cache"))


def test_a_split_that_is_such_a_table_is_refused(tmp_path):
    for split in ("train", "test"):
        write_table(tmp_path / split, "delta")
    with pytest.raises(UserError, match=r"(train|test) must hold the rows of one version"):
        describe("mine", tmp_path)


def test_a_folder_of_descriptions_is_none(tmp_path):
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "columns.json").write_text("{}")
    FRAME.write_parquet(tmp_path / "train.parquet")
    assert describe("mine", tmp_path / "train.parquet").entry["train_data"] == "train.parquet"
