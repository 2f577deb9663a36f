"""Divides the rows of one file into train, valid and test: by time, by group, at random, in their order or by a column.

Nothing is written: the rows of a split are picked out of the file whenever it is read. Memory does not grow with rows,
but for one number a row (by time) or one value a group.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import SPLITS, SplitRule
from fuxi_plugins.datasets.reading.blocks import Block, first_row
from fuxi_plugins.datasets.reading.dates import seconds
from fuxi_plugins.datasets.reading.files import read_header
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.side_tables import SideTable, read_rows
from fuxi_plugins.datasets.statistics import number

TRAIN, VALID, TEST = range(3)  # the places of SPLITS


@dataclass(frozen=True)
class Division:
    """Which split each row of a file belongs to.

    borders: by time the last moment, by order the number of rows, at random the share, up to which a row belongs to
        train, and up to which to train or valid.
    split_of: the place in ``SPLITS`` of each value of the column, by group and by column; other groups are train's.
    """

    rule: SplitRule
    borders: tuple[float, float] = (np.inf, np.inf)
    split_of: dict[str, int] = field(default_factory=dict)

    def splits(self, block: Block, rows_before: int) -> np.ndarray:
        """(N,) places in ``SPLITS`` of a block's rows; ``rows_before`` are those of the file before it.

        Raises:
            UserError: a row without a moment, or with a mark that the config does not give to a split.
        """
        rows = block.frame.height
        match self.rule.by:
            case "order":
                return self._beyond(np.arange(rows_before, rows_before + rows), strictly=False)
            case "random":
                return self._beyond(self._drawn(rows, rows_before), strictly=False)
            case "time":
                return self._beyond(moments(block, self.rule.read_column), strictly=True)
        column = self.rule.read_column
        places = as_text(block.frame[column]).replace_strict(self.split_of, default=None, return_dtype=pl.Int64)
        if self.rule.by == "column" and places.null_count():
            row = first_row(places.is_null())
            marks = ", ".join(self.split_of)
            raise UserError(
                f"{block.place(row)}: column {column!r} must say the row's split, {marks}, but holds "
                f"{block.frame[column][row]!r}. The dataset config's split may name other values."
            )
        found = places.fill_null(TRAIN).to_numpy()
        if self.rule.by == "column" and self.rule.valid:
            found = np.where((found == TRAIN) & (self._drawn(rows, rows_before) < self.rule.valid), VALID, found)
        return found

    def _drawn(self, rows: int, rows_before: int) -> np.ndarray:
        """(rows,) from 0 to 1: one draw a row, wherever a block begins."""
        return np.random.Generator(np.random.PCG64(self.rule.seed).advance(rows_before)).random(rows)

    def _beyond(self, values: np.ndarray, *, strictly: bool) -> np.ndarray:
        return np.searchsorted(np.array(self.borders), values, side="left" if strictly else "right")


def divide(rule: SplitRule, path: Path, file_format: FileFormat, tables: Sequence[SideTable] = ()) -> Division:
    """Reads what the rule needs to know of the file and the tables beside it, and says which row is whose.

    Raises:
        UserError: the file has no such column, or a value of it is no moment.
    """
    valid, test = rule.valid or 0.0, rule.test or 0.0
    if rule.by == "random":
        return Division(rule, (1 - valid - test, 1 - test))
    if rule.by == "column":
        marks = {mark: SPLITS.index(split) for split, listed in rule.marks.items() for mark in listed}
        return Division(rule, split_of=marks)
    columns = [rule.column] if rule.column else read_header(path, file_format)[:1]
    blocks = read_rows(path, columns, file_format, tables)
    if rule.by == "order":
        rows = sum(block.frame.height for block in blocks)
        of_test = round(rows * test)
        return Division(rule, (rows - of_test - round(rows * valid), rows - of_test))
    if rule.by == "time":
        times = pl.Series(np.concatenate([moments(block, rule.read_column) for block in blocks] or [np.empty(0)]))
        if not len(times):
            return Division(rule)
        return Division(rule, time_borders(times, valid, test))
    groups = sorted(
        {value for block in blocks for value in as_text(block.frame[rule.read_column]).drop_nulls().unique()}
    )
    drawn = np.random.Generator(np.random.PCG64(rule.seed)).permutation(len(groups))
    of_valid, of_test = round(len(groups) * valid), round(len(groups) * test)
    places = dict.fromkeys((groups[place] for place in drawn[:of_valid]), VALID)
    places |= dict.fromkeys((groups[place] for place in drawn[of_valid : of_valid + of_test]), TEST)
    return Division(rule, split_of=places)


def time_borders(times: pl.Series, valid: float, test: float) -> tuple[float, float]:
    """The last moment of train and the last of valid, where the latest shares of the rows are valid's and test's.

    A split with a share gets at least one moment, if there are enough of them: of a week by day, the last day is test's
    even if more of the rows are of it than test's share.
    """
    train_until, valid_until = (number(times.quantile(share, "lower")) for share in (1 - valid - test, 1 - test))
    moments = times.unique().sort()
    if len(moments) > (valid > 0) + (test > 0):
        # Of the place of each border, that it leaves a moment for every split before it and after it.
        of_valid = len(moments) - 1
        if test:
            of_valid = min(max(int(moments.search_sorted(valid_until)), int(valid > 0)), len(moments) - 2)
        of_train = min(int(moments.search_sorted(train_until)), of_valid - (valid > 0))
        train_until, valid_until = number(moments[of_train]), number(moments[of_valid])
    # Without a share of its own a split gets nothing: the borders fall together.
    return train_until, valid_until if test else np.inf


def divided(splits: Sequence[str], blocks: Iterable[Block], division: Division) -> Iterator[tuple[str, Block]]:
    """The rows of each of the splits, with its name, picked out of the blocks of the whole file."""
    rows_before = 0
    for block in blocks:
        places = division.splits(block, rows_before)
        rows_before += block.frame.height
        for split in splits:
            yield split, block.filter(places == SPLITS.index(split))


def rows_of(split: str, blocks: Iterable[Block], division: Division) -> Iterator[Block]:
    """The rows of one split, picked out of the blocks of the whole file."""
    return (block for _, block in divided([split], blocks, division))


class NoMomentError(UserError):
    """A column that should hold times holds something else."""


def moments(block: Block, column: str) -> np.ndarray:
    """(N,) float64 that grow with time: the numbers of a column, or the seconds since 1970 of its dates.

    Raises:
        NoMomentError: a value is neither.
    """
    values = block.frame[column]
    if values.dtype in (pl.Date, pl.Datetime):
        found = values.cast(pl.Datetime("us")).to_physical().cast(pl.Float64) / 1e6
    else:
        found = values.cast(pl.Float64, strict=False).fill_nan(None)
        if found.null_count() and values.dtype == pl.String:
            found = min(found, seconds(values), key=pl.Series.null_count)
    if found.null_count():
        row = first_row(found.is_null())
        raise NoMomentError(
            f"{block.place(row)}: {column!r} must hold numbers or dates (2026-03-01 12:30:00) to be split by time, but "
            f"holds {values[row]!r}."
        )
    return found.to_numpy()
