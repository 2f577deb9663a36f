"""What the values of a file mean: which are missing, how ids and lists are written.

Everything here ends in what FuxiCTR's preprocessing takes: text, numbers, and lists as text with a splitter.
"""

import ast
import json
from pathlib import Path
from typing import Any

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.forms import ColumnForm

_WHOLE = r"^\s*([+-]?\d+)\.0*\s*$"  # a whole number written as a float
_INT64 = 2.0**63
_MISSING_ENTRIES = ["", "nan", "NaN", "None", "null"]


class UnreadableColumnError(UserError):
    """A column holds neither text nor numbers nor lists of them; ``column`` is its name."""

    def __init__(self, path: Path, column: str, dtype: pl.DataType):
        super().__init__(
            f"{path.name}: column {column!r} must hold text, numbers or lists of them, but holds {dtype}. "
            "Leave it out of the dataset config, or write its parts as columns of their own."
        )
        self.column = column


def plain(path: Path, frame: pl.DataFrame) -> pl.DataFrame:
    """Text, numbers, truth values, moments and lists of these; bytes are text, and NaN, as pandas writes it, is null.

    Raises:
        UnreadableColumnError: a column of another kind.
    """
    columns = []
    for name, dtype in frame.schema.items():
        column = pl.col(name)
        entries: Any = dtype.inner if isinstance(dtype, pl.List | pl.Array) else dtype
        if entries.is_nested() or entries in (pl.Object, pl.Duration) or (entries == pl.Binary and dtype != entries):
            raise UnreadableColumnError(path, name, dtype)
        if dtype == pl.Binary:
            column = _decoded(frame[name])
        elif isinstance(dtype, pl.Categorical | pl.Enum) or dtype == pl.Null:
            column = column.cast(pl.String)
        elif isinstance(dtype, pl.Decimal):
            column = column.cast(pl.Float64 if dtype.scale else pl.Int128)
        elif dtype.is_float():
            column = (column.cast(pl.Float32) if dtype == pl.Float16 else column).fill_nan(None)
        columns.append(column)
    return frame.select(columns)


def _decoded(values: pl.Series) -> pl.Expr:
    """Bytes, as Hive and Impala write text, as that text; a value that is no UTF-8 as its hexadecimal digits.

    Each value by itself, so that an id is the same whatever else its block holds.
    """
    texts = pl.Series(values.name, list(map(_text_of, values)), pl.String)
    return pl.lit(texts).alias(values.name)


def _text_of(value: bytes | None) -> str | None:
    if value is None:
        return None
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.hex()


def cleaned(values: pl.Series, form: ColumnForm) -> pl.Series:
    """A column's values with what is missing as null, whole ids as whole numbers, and a list as its joined entries.

    Raises:
        UserError: an entry of a list holds the splitter.
    """
    if form.na_values and values.dtype == pl.String:
        known = pl.Series(form.na_values, dtype=pl.String).implode()
        values = values.to_frame().select(pl.when(~pl.first().is_in(known)).then(pl.first())).to_series()
    if form.brackets and values.dtype == pl.String:
        values = from_brackets(values)
    if form.numbers:
        return _vectors(values, form)
    if values.dtype in (pl.List, pl.Array):
        return _joined(values, form)
    if form.normalize_ids and values.dtype == pl.String:
        return values.str.replace(_WHOLE, "${1}")
    return values


def as_text(values: pl.Series) -> pl.Series:
    """Values of any type as the text of an id; a float that is a whole number as that number."""
    return values.to_frame().select(_text(pl.first(), values.dtype)).to_series()


def from_brackets(values: pl.Series) -> pl.Series:
    """Texts such as ``[3, 7]``, ``['a', 'b']``, ``(3 7)`` as lists of text; an entry that is missing is left out."""
    inside = values.str.strip_chars().str.strip_chars("[]()").str.strip_chars()
    by_comma = inside.str.contains(",", literal=True)
    parts = pl.select(
        pl.when(by_comma).then(inside.str.split(",")).otherwise(inside.str.replace_all(r"\s+", " ").str.split(" "))
    ).to_series()
    quoted = inside.str.contains("[\"']").fill_null(False)
    lists = parts.list.eval(pl.element().str.strip_chars())
    if quoted.any():  # a separator may stand inside quotes: these are few different texts or take their time
        read = [_literal(text) if odd else None for text, odd in zip(values, quoted, strict=True)]
        lists = pl.select(pl.coalesce(pl.Series(read, dtype=pl.List(pl.String)), lists)).to_series()
    return lists.list.eval(pl.element().filter(~pl.element().is_in(_MISSING_ENTRIES))).alias(values.name)


def _literal(text: str) -> list[str] | None:
    """The entries of one list in JSON or Python; None where it is neither."""
    for read in (json.loads, ast.literal_eval):
        try:
            entries = read(text.strip())
        except (ValueError, SyntaxError):
            continue
        if isinstance(entries, list | tuple):
            return ["" if entry is None else str(entry) for entry in entries]
    return None


def _vectors(values: pl.Series, form: ColumnForm) -> pl.Series:
    """Lists of numbers; an entry that is no number is null, and so is a list without entries."""
    if values.dtype == pl.String:
        values = values.str.strip_chars().str.split(form.splitter).list.eval(pl.element().str.strip_chars())
    elif values.dtype not in (pl.List, pl.Array):
        values = values.reshape((-1, 1))
    lists = values.cast(pl.List(pl.Float64), strict=False)
    return lists.to_frame().select(pl.when(pl.first().list.len() > 0).then(pl.first())).to_series()


def _joined(values: pl.Series, form: ColumnForm) -> pl.Series:
    lists = values if values.dtype == pl.List else values.arr.to_list()
    list_type: Any = lists.dtype  # a list's, which knows the type of its entries
    entries = lists.list.eval(_text(pl.element(), list_type.inner))
    if form.normalize_ids:
        entries = entries.list.eval(pl.element().str.replace(_WHOLE, "${1}"))
    odd = entries.list.eval(pl.element().str.contains(form.splitter, literal=True)).list.any().fill_null(False)
    if odd.any():
        raise UserError(
            f"column {values.name!r}: an entry of a list must not hold the splitter {form.splitter!r}, but one of "
            f"{entries.filter(odd)[0].to_list()} does. Give the column another splitter in the dataset config."
        )
    return entries.list.eval(pl.element().drop_nulls()).list.join(form.splitter)


def _text(values: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    if not dtype.is_float():
        return values.cast(pl.String)
    whole = (values == values.floor()) & (values.abs() < _INT64)
    return (
        pl.when(whole)
        .then(values.cast(pl.Int64, strict=False).cast(pl.String))
        .otherwise(values.fill_nan(None).cast(pl.String))
    )
