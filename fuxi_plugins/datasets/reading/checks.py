"""What must hold of a file's values before FuxiCTR sees them; a breach names file, line and remedy."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from fuxi_plugins.core.cleaning import is_number
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.columns import LabelColumn
from fuxi_plugins.datasets.reading.blocks import Block, first_row
from fuxi_plugins.datasets.reading.dates import wall_clock
from fuxi_plugins.datasets.reading.forms import ColumnForm
from fuxi_plugins.datasets.reading.values import as_text, cleaned
from fuxi_plugins.datasets.spec import DatasetSpec

_TYPES = {"float": pl.Float64, "int": pl.Int64, "str": pl.String}
_LARGEST = float(np.finfo(np.float32).max)  # models compute in float32, where more is infinity
_KINDS = {"float": "a number of at most 3.4e38", "int": "a whole number of at most 64 bits"}


@dataclass
class RowCount:
    """Rows and positives of a split, and the rows without a label, which are not among them."""

    rows: int = 0
    positives: int = 0
    unlabelled: int = 0
    first_unlabelled: str = ""  # where it stands

    def add(self, other: "RowCount") -> None:
        self.rows += other.rows
        self.positives += other.positives


def check_header(file: str, header: Sequence[str], spec: DatasetSpec, split: str) -> None:
    """
    Raises:
        UserError: a column that the dataset names is missing in the header of a split's file.
    """
    missing = [name for name in spec.columns_read(split) if name not in header]
    if missing:
        no_header = " Is that a first row, in a file without a header? column_names in the dataset config names them."
        raise UserError(
            f"{file} must have the columns that the dataset {spec.dataset_id!r} names, but lacks "
            f"{', '.join(missing)}; its header is {', '.join(header)}."
            f"{no_header if any(is_number(name) for name in header) else ''}"
        )


def labelled_rows(block: Block, spec: DatasetSpec, count: RowCount) -> Block:
    """The rows that have every label that is learned; adds the others to ``count``."""
    missing = np.zeros(block.frame.height, bool)
    for column in spec.learned_labels:
        missing |= cleaned(block.frame[column.name], column.form).eq_missing(None).to_numpy()
    if not missing.any():
        return block
    count.unlabelled += int(missing.sum())
    count.first_unlabelled = count.first_unlabelled or block.place(int(missing.argmax()))
    return block.filter(~missing)


def typed_block(block: Block, spec: DatasetSpec, count: RowCount) -> pl.DataFrame:
    """A block's raw columns in their types, a missing value as null; adds its rows and positives to ``count``.

    Raises:
        UserError: text where a number belongs, a label that is not 0 or 1 or that its rule does not fit, or a weight
            below 0.
    """
    raw, forms = spec.raw_columns, spec.raw_forms
    labels = {column.name: _label(block, column) for column in spec.learned_labels}
    read = {name: cleaned(block.frame[name], forms.get(name, ColumnForm())) for name in raw}
    vectors = {name: _vectors(block, name, length, read[name]) for name, length in spec.vectors_read.items()}
    clocks = {clock_column(name): _clock(block, name, read[name]) for name in spec.moments_read}
    columns = vectors | {
        name: as_text(read[name]) if dtype == "str" else read[name].cast(_TYPES[dtype], strict=False)
        for name, dtype in raw.items()
        if name not in vectors
    }
    numbers = {
        name: columns[name] if raw[name] != "str" else columns[name].cast(_TYPES[dtype], strict=False)
        for name, dtype in spec.numbers_read.items()
    }
    unusable = _columns_beyond_float32(numbers)
    for name, number in numbers.items():
        # A missing number is FuxiCTR's to fill; text, NaN and what is infinite in float32 are nobody's.
        if number.null_count() > read[name].null_count() or name in unusable:
            raise _wrong_number(block, name, spec.numbers_read[name], read[name], number)
    if spec.weight_col and not (columns[spec.weight_col].fill_null(-1.0) >= 0).all():
        row = first_row(columns[spec.weight_col].fill_null(-1.0) < 0)
        seen = block.frame[spec.weight_col][row]
        raise UserError(f"{block.place(row)}: the weight {spec.weight_col!r} must be at least 0, but is {seen!r}.")
    main = labels[spec.label_col.name]
    count.rows += len(main)
    count.positives += int(main.sum())
    typed = {column.name: labels[column.name].cast(_TYPES[column.dtype]) for column in spec.learned_labels}
    return pl.DataFrame(columns | clocks | typed)


def clock_column(name: str) -> str:
    """In typed blocks, the column of what a clock showed at the moments of the column ``name``."""
    return f"{name} (clock)"


def _clock(block: Block, name: str, read: pl.Series) -> pl.Series:
    """What a clock showed at each moment of a column; null where it is missing.

    Raises:
        UserError: a value is no moment.
    """
    shown = wall_clock(read)
    if shown.null_count() > read.null_count():
        row = first_row(shown.is_null() & read.is_not_null())
        raise UserError(
            f"{block.place(row)}: column {name!r} must hold dates (2026-03-01 12:30) or seconds since 1970, as hours "
            f"or weekdays are made of it, but holds {read[row]!r}."
        )
    return shown


def _vectors(block: Block, name: str, length: int, read: pl.Series) -> pl.Series:
    """A column of vectors, ``length`` numbers of 32 bits each; a missing one is zeros.

    Raises:
        UserError: a vector is longer or shorter, or has an entry that is no finite number.
    """
    finite = read.list.eval(pl.element().is_finite().fill_null(False) & (pl.element().abs() <= _LARGEST)).list.all()
    wrong = (read.is_not_null() & ((read.list.len() != length) | ~finite)).fill_null(False)
    if wrong.any():
        row = first_row(wrong)
        seen = block.frame[name][row]
        held = f"one of {read[row].len():,}" if read[row].len() != length else f"{str(seen)[:80]!r}"
        raise UserError(
            f"{block.place(row)}: column {name!r} must hold a vector of pretrain_dim={length} finite numbers, but "
            f"holds {held} ({wrong.sum()} such rows near). Mend the file, or pretrain_dim, list_format or splitter in "
            "the dataset config."
        )
    zeros = pl.lit([0.0] * length, pl.List(pl.Float64))
    return read.to_frame().select(pl.first().fill_null(zeros).cast(pl.Array(pl.Float32, length))).to_series()


def _label(block: Block, column: LabelColumn) -> pl.Series:
    """A label of each row as 0 or 1."""
    name, rule = column.name, column.parsed_rule
    if rule is None:
        label = block.frame[name].cast(pl.Float64, strict=False)
        wrong = ~label.is_in([0.0, 1.0]).fill_null(False)
    else:
        positive = rule.positives(block.frame[name])
        label, wrong = positive.cast(pl.Float64), positive.is_null()
    if wrong.any():
        raise _wrong_label(block, column, wrong)
    return label


def check_labels(spec: DatasetSpec, counts: dict[str, RowCount]) -> None:
    """
    Raises:
        UserError: rows have no label, and the dataset's config does not say what becomes of them.
    """
    lacking = [
        f"{count.unlabelled:,} of {count.unlabelled + count.rows:,} in {spec.split_name(split)} have none (the first: "
        f"{count.first_unlabelled})"
        for split, count in counts.items()
        if count.unlabelled
    ]
    if lacking and spec.label_missing is None:
        labels = " and ".join(repr(column.name) for column in spec.learned_labels)
        raise UserError(
            f"every row must have a label, {labels}, but of the rows {', '.join(lacking)}. Mend the files, or write "
            "label_missing: drop in the dataset config to leave such rows out."
        )


def check_split(name: str, count: RowCount) -> None:
    """
    Raises:
        UserError: a split without rows or with rows of one class only; ``name`` says which it is.
    """
    if count.rows == 0 and count.unlabelled:
        raise UserError(f"{name} must hold rows with a label, but none of its {count.unlabelled:,} rows has one.")
    if count.rows == 0:
        raise UserError(f"{name} must hold rows, but has only its header; every split needs both classes.")
    if count.positives in (0, count.rows):
        raise UserError(
            f"{name}: every split needs both classes, but all {count.rows} labels are "
            f"{int(count.positives > 0)}; AUC is not defined there."
        )


def _columns_beyond_float32(columns: dict[str, pl.Series]) -> list[str]:
    """The names of those that hold NaN or a number that is infinite in float32."""
    floats = pl.selectors.float()
    within = pl.DataFrame(columns).select((floats.nan_min() >= -_LARGEST) & (floats.nan_max() <= _LARGEST))
    return [column.name for column in within if column.item() is False]


def _wrong_label(block: Block, column: LabelColumn, wrong: pl.Series) -> UserError:
    name, rule = column.name, column.rule
    row = first_row(wrong)
    seen = block.frame[name][row]
    if seen == name:
        return UserError(
            f"{block.place(row)}: the header stands here a second time, as after joining files. Remove the line."
        )
    if rule:
        must, remedy = f"be what its rule {rule!r} can compare", "Mend the file, or the rule in the dataset config"
    else:
        must, remedy = "be 0 or 1", 'In the dataset config a rule says what is positive, label_col: {rule: ">= 4"}'
    return UserError(
        f"{block.place(row)}: the label {name!r} must {must}, but is {seen!r} ({wrong.sum()} such rows near). "
        f"{remedy}; na_values in label_col names texts that stand for a missing label."
    )


def _wrong_number(block: Block, name: str, dtype: str, read: pl.Series, number: pl.Series) -> UserError:
    usable = number.is_finite() & (number.cast(pl.Float64).abs() <= _LARGEST)
    wrong = read.is_not_null() & (number.is_null() | ~usable.fill_null(True))
    row = first_row(wrong)
    return UserError(
        f"{block.place(row)}: column {name!r} must hold {_KINDS[dtype]}, but holds {read[row]!r} "
        f"({wrong.sum()} such rows near). Mend the file, or give the column dtype: str in the dataset config; "
        "na_values names texts that stand for a missing value."
    )
