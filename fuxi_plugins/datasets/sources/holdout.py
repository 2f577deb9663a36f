"""An honest split: validation carved out of train, for datasets that are published with the test set in its place."""

import os
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError

TRAIN, VALID = "train.csv", "valid.csv"


def build_carved(
    source: Path,
    folder: Path,
    *,
    share: float,
    by: Literal["time", "order", "group"],
    column: str | None = None,
    seed: int = 2026,
) -> None:
    """Writes train.csv and valid.csv from the published train.csv; every other file is the published one.

    The rows keep their text and their order. Memory does not grow with rows, but for one value a row or group.

    Args:
        source: folder with the published files.
        folder: an existing folder to write to.
        share: of train's rows (``by`` group: of its groups) that become valid, between 0 and 1.
        by: ``time``: the rows of the latest values of ``column``, rows of one value staying together;
            ``order``: the last rows of the file; ``group``: all rows of some values of ``column``, drawn by ``seed``.
        column: of whole numbers for ``time``.

    Raises:
        UserError: the arguments do not fit together or to the file, or a part would be empty.
    """
    if not 0 < share < 1:
        raise UserError(f"share must lie between 0 and 1, but is {share}.")
    if (column is None) != (by == "order"):
        raise UserError(f"by: {by} needs {'no' if by == 'order' else 'a'} column, but column is {column!r}.")
    table = pl.scan_csv(source / TRAIN, infer_schema=False)
    if column is not None and column not in table.collect_schema().names():
        raise UserError(f"{TRAIN} must have the column {column!r} to be split by, but lacks it.")
    if by == "order":
        rows = table.select(pl.len()).collect(engine="streaming").item()
        table = table.with_row_index("::row")
        is_valid = pl.col("::row") >= rows - round(rows * share)
    elif by == "time":
        is_valid = pl.col(column).cast(pl.Int64) > _moment(table, column, share)
    else:
        is_valid = pl.col(column).is_in(_drawn_groups(table, column, share, seed))
    for name, rows_of in ((TRAIN, ~is_valid), (VALID, is_valid)):
        part = table.filter(rows_of).drop("::row", strict=False)
        part.sink_csv(folder / name, quote_style="necessary", engine="streaming")
        if not pl.scan_csv(folder / name, infer_schema=False).select(pl.len()).collect().item():
            raise UserError(f"{name} would be empty: there is no share of {share} by {by} in the published {TRAIN}.")
    for path in source.iterdir():
        if path.name not in (TRAIN, VALID):
            _link(path, folder / path.name)


def _moment(table: pl.LazyFrame, column: str, share: float) -> int:
    """The last value that stays in train."""
    values = table.select(pl.col(column).cast(pl.Int64, strict=False)).collect(engine="streaming")[column]
    if values.null_count():
        raise UserError(f"{TRAIN}: {column!r} must hold whole numbers to be split by time, but a row does not.")
    return values.quantile(1 - share, "lower")


def _drawn_groups(table: pl.LazyFrame, column: str, share: float, seed: int) -> list[str]:
    groups = table.select(pl.col(column).unique()).collect(engine="streaming")[column].drop_nulls().sort()
    drawn = np.random.Generator(np.random.PCG64(seed)).permutation(len(groups))[: round(len(groups) * share)]
    return groups.gather(np.sort(drawn)).to_list()


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)
