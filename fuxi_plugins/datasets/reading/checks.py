"""What must hold of a csv file's values before FuxiCTR sees them; a breach names file, line and remedy."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.csv_blocks import Block, read_header
from fuxi_plugins.datasets.spec import DatasetSpec

_TYPES = {"float": pl.Float64, "int": pl.Int64, "str": pl.String}
_LARGEST = float(np.finfo(np.float32).max)  # models compute in float32, where more is infinity
_KINDS = {"float": "a number of at most 3.4e38", "int": "a whole number of at most 64 bits"}


@dataclass
class RowCount:
    """Rows and positives of a split, added up block by block."""

    rows: int = 0
    positives: int = 0


def check_header(path: Path, spec: DatasetSpec) -> None:
    """
    Raises:
        UserError: a column that the dataset names is missing.
    """
    header = read_header(path)
    missing = [name for name in spec.raw_columns if name not in header]
    if missing:
        raise UserError(
            f"{path.name} must have the columns that the dataset {spec.dataset_id!r} names, but lacks "
            f"{', '.join(missing)}; its header is {', '.join(header)}."
        )


def typed_block(block: Block, spec: DatasetSpec, count: RowCount) -> pl.DataFrame:
    """A block's raw columns in their types, a missing value as null; adds its rows and positives to ``count``.

    Raises:
        UserError: text where a number belongs, or a label that is not 0 or 1.
    """
    raw = spec.raw_columns
    frame = block.frame.select(
        pl.col(name).cast(_TYPES[dtype], strict=False).alias(name) for name, dtype in raw.items()
    )
    label = frame[spec.label_col.name].cast(pl.Float64)
    wrong_label = ~label.is_in([0.0, 1.0]).fill_null(False)
    if wrong_label.any():
        raise _wrong_label(block, spec.label_col.name, wrong_label)
    for name, dtype in spec.numbers_read.items():
        number = frame[name] if raw[name] != "str" else frame[name].cast(_TYPES[dtype], strict=False)
        # A missing number is FuxiCTR's to fill; text, NaN and what is infinite in float32 are nobody's.
        if number.null_count() > block.frame[name].null_count() or not _usable(number).all():
            raise _wrong_number(block, name, dtype, number)
    count.rows += frame.height
    count.positives += int(label.sum())
    return frame


def check_split(path: Path, count: RowCount) -> None:
    """
    Raises:
        UserError: a split without rows or with rows of one class only.
    """
    if count.rows == 0:
        raise UserError(f"{path.name} must hold rows, but has only its header; every split needs both classes.")
    if count.positives in (0, count.rows):
        raise UserError(
            f"{path.name}: every split needs both classes, but all {count.rows} labels are "
            f"{int(count.positives > 0)}; AUC is not defined there."
        )


def _usable(number: pl.Series) -> pl.Series:
    return number.is_finite() & (number.cast(pl.Float64).abs() <= _LARGEST)


def _wrong_label(block: Block, name: str, wrong: pl.Series) -> UserError:
    row = wrong.arg_max()
    seen = block.frame[name][row]
    line = f"{block.path.name}, line {block.line(row)}"
    if seen == name:
        return UserError(f"{line}: the header stands here a second time, as after joining files. Remove the line.")
    return UserError(f"{line}: the label {name!r} must be 0 or 1, but is {seen!r} ({wrong.sum()} such rows near).")


def _wrong_number(block: Block, name: str, dtype: str, number: pl.Series) -> UserError:
    text = block.frame[name]
    wrong = text.is_not_null() & (number.is_null() | ~_usable(number).fill_null(True))
    row = wrong.arg_max()
    return UserError(
        f"{block.path.name}, line {block.line(row)}: column {name!r} must hold {_KINDS[dtype]}, but holds "
        f"{text[row]!r} ({wrong.sum()} such rows near). Mend the file, or give the column dtype: str in the dataset "
        "config."
    )
