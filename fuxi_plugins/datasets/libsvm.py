"""Files of libsvm, libfm and libffm, whose rows number their own columns: written as parquet, a column for each field.

A row is a label and behind it entries ``index:value`` or, in libffm, ``field:index:value``. Without fields, rows of one
length have a field at each place; in rows of different lengths each index is a field, if there are few.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.files import replacing
from fuxi_plugins.datasets.copies import note_originals
from fuxi_plugins.datasets.reading.opening import pieces

MOST_FIELDS = 1000  # that indices of rows without fields may be
LABEL = "label"
_BLOCK_BYTES = 8 << 20
_ROW = r"^\S+( qid:\d+)?( \d+(:\d+)?:[-+.\deE]+)*$"
_FIRST_ROW = re.compile(r"\S+( qid:\d+)?( \d+(:\d+)?:[-+.\deE]+){2,} *")


def is_libsvm(line: str) -> bool:
    """Whether the first line of a file is a row of libsvm or libffm."""
    return bool(_FIRST_ROW.fullmatch(line.replace("\t", " ").strip("\r\n ")))


@dataclass
class _Field:
    """What the entries of one field are in all files."""

    indices: set[int] = field(default_factory=set)  # two of them at most
    most: int = 0  # entries in a row
    low: float = float("inf")
    high: float = float("-inf")

    @property
    def is_amount(self) -> bool:
        """Whether the value says something, and not the index."""
        return len(self.indices) == 1

    @property
    def has_lost_values(self) -> bool:
        return not self.is_amount and self.low != self.high


@dataclass(frozen=True)
class _Layout:
    """By which column of the entries they are divided into fields, how columns are called, and the fields."""

    by: str
    prefix: str
    fields: dict[int, _Field]


def write_parquet(files: Mapping[str, Path], target: Path) -> list[str]:
    """Writes ``SPLIT.parquet`` for each file, with the label and a column for each field.

    Args:
        files: by split.
        target: the folder for the new files.

    Returns:
        What their owner should be told.

    Raises:
        UserError: a row is of another form, or the fields of the rows cannot be told.
    """
    layout = _find_layout(list(files.values()))
    target.mkdir(parents=True, exist_ok=True)
    for split, path in files.items():
        writer = None
        with replacing(target / f"{split}.parquet") as partial:
            for labels, entries in _blocks(path):
                table = _columns(labels, entries, layout).to_arrow()
                writer = writer or pq.ParquetWriter(partial, table.schema)
                writer.write_table(table)
            if writer is None:
                raise UserError(f"{path.name} must hold rows, but is empty.")
            writer.close()
    note_originals(target, files.values())
    what = {
        "field": "a column for each field",
        "place": "a column for each place in a row, for all rows have as many entries",
        "index": "a column for each index, for rows differ in length",
    }[layout.by]
    remarks = [f"Rows of {'libffm' if layout.by == 'field' else 'libsvm'}: {what}."]
    if lost := [f"{layout.prefix}{number}" for number, one in layout.fields.items() if one.has_lost_values]:
        remarks.append(f"Ids are taken without their values, which differ: {', '.join(lost)}.")
    return remarks


def _find_layout(paths: list[Path]) -> _Layout:
    """
    Raises:
        UserError: some rows have fields and some have none, or rows differ in length and have many indices.
    """
    by_name: dict[str, dict[int, _Field]] = {name: defaultdict(_Field) for name in ("field", "place")}
    lengths: set[int] = set()
    indices: set[int] = set()
    for path in paths:
        for labels, entries in _blocks(path):
            counts = entries.group_by("row").len()["len"]
            lengths.update(counts.unique(), [0] if len(counts) < len(labels) else [])
            if entries.is_empty():
                continue
            has_fields = "field" in entries.columns
            if has_fields == bool(by_name["place"]) and (by_name["field"] or by_name["place"]):
                raise UserError(f"{path.name}: all rows must be of libsvm or all of libffm, but both are there.")
            if len(indices) <= MOST_FIELDS:
                indices.update(entries["index"].unique())
            name = "field" if has_fields else "place"
            _add(by_name[name], entries, name)
    if by_name["field"]:
        return _Layout("field", "field_", dict(sorted(by_name["field"].items())))
    if len(lengths) == 1:
        return _Layout("place", "field_", dict(sorted(by_name["place"].items())))
    if len(indices) <= MOST_FIELDS:
        return _Layout("index", "feature_", {index: _Field({index}) for index in sorted(indices)})
    raise UserError(
        f"{', '.join(path.name for path in paths)}: rows of libsvm must have as many entries each, one for each field, "
        f"or at most {MOST_FIELDS:,} different indices, but have {min(lengths)} to {max(lengths)} entries and more "
        "indices. Write them as libffm (field:index:value) or as csv, a column for each field."
    )


def _add(fields: dict[int, _Field], entries: pl.DataFrame, by: str) -> None:
    """Takes a block's entries into account."""
    in_rows = entries.group_by(by, "row").len().group_by(by).agg(pl.col("len").max().alias("most"))
    found = entries.group_by(by).agg(
        pl.col("index").unique().sort().head(2),
        pl.col("value").min().alias("low"),
        pl.col("value").max().alias("high"),
    )
    for number, indices, low, high, most in found.join(in_rows, on=by).iter_rows():
        one = fields[number]
        one.indices |= set(indices if len(one.indices) < 2 else [])
        one.low, one.high, one.most = min(one.low, low), max(one.high, high), max(one.most, most)


def _columns(labels: pl.Series, entries: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    """The rows of a block: an amount or an id for each field, or a list of ids; 0 where an amount is not written."""
    rows = pl.DataFrame({"row": pl.int_range(len(labels), dtype=pl.UInt32, eager=True)})
    by_field = entries.partition_by(layout.by, as_dict=True)
    columns = {LABEL: labels}
    empty = entries.clear()
    for number, one in layout.fields.items():
        own = by_field.get((number,), empty)
        if one.is_amount:
            values = own.group_by("row").agg(pl.col("value").sum())
        elif one.most > 1:
            values = own.group_by("row", maintain_order=True).agg(pl.col("index").alias("value"))
        else:
            values = own.select("row", pl.col("index").alias("value"))
        column = rows.join(values, on="row", how="left", maintain_order="left")["value"]
        columns[f"{layout.prefix}{number}"] = column.fill_null(0.0) if one.is_amount else column
    return pl.DataFrame(columns)


def _blocks(path: Path) -> Iterator[tuple[pl.Series, pl.DataFrame]]:
    """The labels (rows,) of a part of the file, and its entries: row, place in the row, field of libffm, index, value.

    Raises:
        UserError: a row is of another form; says in which line.
    """
    rest, line = b"", 1
    for piece in (*pieces(path, _BLOCK_BYTES), b""):
        text = rest + piece
        end = text.rfind(b"\n") + 1 if piece else len(text)
        text, rest = text[:end], text[end:]
        lines = pl.Series("line", text.decode(errors="replace").splitlines(), dtype=pl.String)
        rows = lines.str.replace(r"\s*#.*$", "").str.replace_all(r"[\t ]+", " ").str.strip_chars()
        if (wrong := ~rows.str.contains(_ROW) & (rows != "")).any():
            place = wrong.arg_max() or 0
            raise UserError(
                f"{path.name}, line {line + place}: a row must be a label and entries, index:value or "
                f"field:index:value, but is {lines[place][:60]!r}."
            )
        line += len(lines)
        rows = rows.filter(rows != "").str.replace(r" qid:\d+", "")
        if len(rows):
            yield _parsed(path, rows)


def _parsed(path: Path, rows: pl.Series) -> tuple[pl.Series, pl.DataFrame]:
    parts = rows.str.split(" ")
    labels = parts.list.first().cast(pl.Float64, strict=False)
    if labels.null_count():
        raise UserError(f"{path.name}: each row must begin with a number, its label, but one begins otherwise.")
    entries = (
        pl.DataFrame({"entry": parts.list.slice(1)})
        .with_row_index("row")
        .with_columns(place=pl.int_ranges(1, pl.col("entry").list.len() + 1))
        .explode("entry", "place", empty_as_null=False)
    )
    numbers = entries["entry"].str.split(":")
    lengths = numbers.list.len().unique().to_list()
    if len(lengths) > 1:
        raise UserError(f"{path.name}: all rows must be of libsvm or all of libffm, but both are there.")
    names = ["index", "value"] if lengths == [2] else ["field", "index", "value"]
    return labels, entries.select("row", "place").with_columns(
        numbers.list.get(at).cast(pl.Float64 if name == "value" else pl.Int64).alias(name)
        for at, name in enumerate(names)
    )
