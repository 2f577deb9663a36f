"""The first rows of data files, by which columns are judged: of a folder of parts, those of parts all over it.

The first part alone would mislead: it may hold ten rows, one day, one class or the lowest ratings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.describing.found_files import FoundFiles
from fuxi_plugins.datasets.reading.files import read_header
from fuxi_plugins.datasets.reading.forms import ColumnForm, parts
from fuxi_plugins.datasets.reading.values import UnreadableColumnError, as_text, cleaned
from fuxi_plugins.datasets.side_tables import SideTable, read_rows

LOOKED_AT = 8 * 2**20  # bytes of each split
FEWEST_PARTS, MOST_PARTS = 20, 1000  # that are looked at, of more
FEW_ROWS = 500  # fewer say little of a file that has more


@dataclass(frozen=True)
class Heads:
    """What was looked at.

    frames: the first rows of each split, without the columns that cannot be read.
    unreadable: these columns.
    said: what their owner is told of them.
    """

    frames: dict[str, pl.DataFrame]
    unreadable: list[str]
    said: list[str]


@dataclass(frozen=True)
class _Sample:
    """The parts of a data file that are looked at.

    parts: some of its parts, evenly spread.
    of_parts: how many it has.
    part_bytes: how much of each is looked at.
    is_whole: whether that is all of it, as far as sizes tell.
    """

    parts: list[Path]
    of_parts: int
    part_bytes: int
    is_whole: bool


def read_heads(found: FoundFiles, tables: Sequence[SideTable]) -> Heads:
    """The first rows of each split.

    Args:
        found: the files of the splits.
        tables: beside them, joined to the rows.

    Raises:
        UserError: a file holds no rows, or no column that can be read.
    """
    unreadable: list[str] = []
    frames: dict[str, pl.DataFrame] = {}
    said: list[str] = []
    for split, name in found.names.items():
        sample = _sample(parts(found.root / name, found.file_format))
        columns, lacking = _columns(found, name, tables, sample)
        if lacking:
            said.append(f"Left out, for not every part of {split} has them: {', '.join(lacking)}.")
        frames[split], is_whole = _read(found, name, tables, columns, sample, unreadable)
        if split == "train":
            said.insert(0, _what_was_seen(frames[split].height, sample))
        if frames[split].height < FEW_ROWS and not is_whole:
            said.append(
                f"Only {frames[split].height:,} rows of {split} were looked at, although there are more: what is said "
                "of columns rests on little, so check each."
            )
    return Heads(frames, unreadable, said)


def _sample(found: list[Path]) -> _Sample:
    """Parts that together are about as large as the head of one file: all of small ones, twenty at least of others."""
    sizes = [part.stat().st_size for part in found]
    small = sum(sizes) <= LOOKED_AT
    count = len(found) if small else max(FEWEST_PARTS, LOOKED_AT * len(found) // sum(sizes))
    count = min(count, len(found), MOST_PARTS)
    places = np.linspace(0, len(found) - 1, count).round().astype(int)
    part_bytes = LOOKED_AT if small else LOOKED_AT // count
    return _Sample([found[place] for place in places], len(found), part_bytes, small and count == len(found))


def _columns(found: FoundFiles, name: str, tables: Sequence[SideTable], sample: _Sample) -> tuple[list[str], list[str]]:
    """The columns that every part has, with those of the tables, and the columns that some part lacks."""
    header = read_header(found.root / name, found.file_format)
    lacking: list[str] = []
    if sample.of_parts > 1:
        stored = [set(read_header(part, found.file_format)) for part in sample.parts]
        anywhere = set().union(*stored)  # of which the keys in the names of folders are none
        lacking = [column for column in header if column in anywhere and not all(column in own for own in stored)]
    columns = [column for column in header if column not in lacking]
    columns += [column for table in tables for column in table.frame.columns if column not in header]
    return columns, lacking


def _read(
    found: FoundFiles,
    name: str,
    tables: Sequence[SideTable],
    columns: list[str],
    sample: _Sample,
    unreadable: list[str],
) -> tuple[pl.DataFrame, bool]:
    """The rows, without the columns that cannot be read, whose names are added to ``unreadable``; whether all."""
    path = found.root / name
    while True:
        readable = [column for column in columns if column not in unreadable]
        if not readable:
            raise UserError(
                f"{path} must hold a column of text, numbers or lists of them, but holds "
                f"{', '.join(columns) + ', of other kinds' if columns else 'none'}. Write their parts as columns of "
                "their own."
            )
        try:
            blocks = list(read_rows(path, readable, found.file_format, tables, sample.part_bytes, sample.parts))
        except UnreadableColumnError as error:
            unreadable.append(error.column)
            continue
        frames = [block.frame for block in blocks if block.frame.height]
        if not frames:
            raise UserError(f"{path} must hold rows, but has only its header.")
        has_more = blocks[-1].share < 1 if sample.of_parts == 1 else not sample.is_whole  # packed files do not say
        return stacked(frames), not has_more


def stacked(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows of all frames; a column that they hold in types of different kinds is text, as it is when it is read."""
    if len(frames) == 1:
        return frames[0]
    columns = [_stacked([frame[name] for frame in frames]) for name in frames[0].columns]
    return pl.DataFrame(columns)


def _stacked(values: list[pl.Series]) -> pl.Series:
    there = {part.dtype for part in values if part.null_count() < len(part)}
    if len(there) <= 1:  # a part without a value may say any type
        dtype = next(iter(there), values[0].dtype)
        values = [part if part.dtype == dtype else pl.Series(part.name, [None] * len(part), dtype) for part in values]
    elif not any(all(is_one(dtype) for dtype in there) for is_one in (_is_integer, _is_float, _is_moment, _is_list)):
        values = [as_text(cleaned(part, ColumnForm())) for part in values]
    return pl.concat([part.to_frame() for part in values], how="vertical_relaxed").to_series()


def _is_integer(dtype: pl.DataType) -> bool:
    return dtype.is_integer()


def _is_float(dtype: pl.DataType) -> bool:
    return dtype.is_float()


def _is_moment(dtype: pl.DataType) -> bool:
    return dtype in (pl.Date, pl.Datetime)


def _is_list(dtype: pl.DataType) -> bool:
    return dtype == pl.List


def _what_was_seen(rows: int, sample: _Sample) -> str:
    if sample.of_parts == 1:
        return f"Looked at the first {rows:,} rows of train."
    seen = len(sample.parts)
    of = f"each of its {seen:,} parts" if seen == sample.of_parts else f"{seen:,} of its {sample.of_parts:,} parts"
    return f"Looked at {rows:,} rows of train, {'all' if sample.is_whole else 'the first'} of {of}."
