"""A dataset of one's own: its first config, from its files or from tables in memory, which become files first."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from fuxi_plugins.core.configs import new_config_file
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import write_text
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.core.yaml_files import yaml_text
from fuxi_plugins.datasets.catalogue import load_dataset_specs
from fuxi_plugins.datasets.columns import SPLITS
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.encoded_folder import WRITTEN_ANEW, describe_encoded, is_encoded
from fuxi_plugins.datasets.describing.found_files import ColumnNames
from fuxi_plugins.datasets.describing.libsvm_files import find_libsvm
from fuxi_plugins.datasets.libsvm import write_parquet

Table: TypeAlias = pd.DataFrame | pl.DataFrame | pa.Table


@dataclass(frozen=True)
class OwnData:
    """What was written for a dataset of one's own; as text, all that its owner should read.

    dataset: its id.
    config: the file of its config.
    text: the config.
    remarks: what was guessed, a sentence each.
    """

    dataset: str
    config: Path
    text: str
    remarks: list[str]

    def __str__(self) -> str:
        return "\n".join(
            [self.text, *self.remarks, f"written: {self.config}; check it, then: fuxibench new {self.dataset}"]
        )

    __repr__ = __str__


def describe_own(
    name: str,
    data: str | Path | Table | Mapping[str, Table],
    workspace: Workspace,
    label: str | None = None,
    rule: str | None = None,
    interactions: bool = False,
    column_names: ColumnNames = (),
    splits: Mapping[str, str] | None = None,
) -> OwnData:
    """Writes a first config for one's own data, guessed from what they hold.

    Args:
        name: of the dataset.
        data: a folder or a file; or a table, or one for each of train, valid and test, which are written as parquet
            files to ``data/NAME`` in the workspace.
        workspace: where the config goes.
        label, rule, interactions, column_names, splits: as of :func:`describe`.

    Raises:
        UserError: the dataset is there already, or what :func:`describe` refuses; nothing is written then.
    """
    path = new_config_file(workspace.configs, "dataset_config", name)
    if name in load_dataset_specs(workspace.all_configs):
        raise UserError(f"the dataset {name!r} has a config already; choose another name.")
    home, written = workspace.configs.parent, None
    if not isinstance(data, str | Path):
        written = home / "data" / name
        data = _as_files(data, written)
    origin = Path(data)
    try:
        if is_encoded(origin):
            if splits:
                raise UserError(
                    f"{origin} holds a dataset that FuxiCTR encoded, which says itself where its splits lie."
                )
            found = describe_encoded(name, origin, workspace.decoded_folder(name))
        else:
            said: list[str] = []
            if files := find_libsvm(origin, splits):
                splits = None  # as the parquet files are named
                origin = written = workspace.decoded_folder(name)
                shutil.rmtree(written, ignore_errors=True)  # of a dataset of this name whose config is gone
                said = [*write_parquet(files, written), WRITTEN_ANEW.format(written)]
            found = describe(name, origin, label, rule, interactions, column_names, splits)
            found = replace(found, remarks=[*said, *found.remarks])
    except BaseException:
        if written:
            shutil.rmtree(written, ignore_errors=True)
        raise
    root = Path(found.entry["data_root"])
    if root.is_relative_to(home):  # so that the workspace can be moved
        found.entry["data_root"] = str(root.relative_to(home))
    text = yaml_text({name: found.entry})
    write_text(path, text)
    return OwnData(name, path, text, found.remarks)


def _as_files(data: Table | Mapping[str, Table], folder: Path) -> Path:
    """Writes tables as parquet files and returns what holds them: the folder, or the file of an only table.

    Raises:
        UserError: the folder is there, a table is none or has a column of mixed kinds, or a split's name is another.
    """
    tables = dict(data) if isinstance(data, Mapping) else {folder.name: data}
    if isinstance(data, Mapping) and not {"train"} <= set(tables) <= set(SPLITS):
        raise UserError(
            f"tables are named train, valid and test, train at least, but are {', '.join(tables) or 'none'}."
        )
    if folder.exists():
        raise UserError(
            f"tables would be written to {folder}, which is there already; remove it or choose another name."
        )
    arrow = {name: _arrow(table) for name, table in tables.items()}
    folder.mkdir(parents=True)
    try:
        for name, table in arrow.items():
            pq.write_table(table, folder / f"{name}.parquet")
    except BaseException as error:
        shutil.rmtree(folder)
        if isinstance(error, pa.ArrowException):
            said = str(error).rstrip(".")
            raise UserError(f"parquet must be able to hold every column, but {said}. Convert it to text.") from error
        raise
    return folder if isinstance(data, Mapping) else folder / f"{folder.name}.parquet"


def _without_intervals(table: pd.DataFrame) -> pd.DataFrame:
    """Intervals, as ``pd.cut`` gives them, as their text; and sparse columns as full ones."""
    found = {}
    for name, column in table.items():
        kind = column.dtype.categories.dtype if isinstance(column.dtype, pd.CategoricalDtype) else column.dtype
        if isinstance(kind, pd.IntervalDtype):
            found[name] = column.astype(object).map(str, na_action="ignore")
        elif isinstance(kind, pd.SparseDtype):
            found[name] = column.sparse.to_dense()
    return table.assign(**found) if found else table


def _arrow(table: Table) -> pa.Table:
    try:
        if isinstance(table, pd.DataFrame):
            is_data = any(name is not None for name in table.index.names)  # as after set_index
            if not is_data and isinstance(table.index, pd.DatetimeIndex):
                table, is_data = table.rename_axis("time"), "time" not in table
            table = table.reset_index() if is_data else table
            return pa.Table.from_pandas(_without_intervals(table), preserve_index=False)
        if isinstance(table, pl.DataFrame):
            return table.to_arrow()
    except (pa.ArrowException, ValueError, TypeError) as error:  # pandas lets a column hold anything
        raise UserError(
            f"every column must hold values of one kind, but {error}. Convert it, as with astype(str)."
        ) from error
    if isinstance(table, pa.Table):
        return table
    raise UserError(f"a table of pandas, polars or Arrow is needed, or a path, but this is a {type(table).__name__}.")
