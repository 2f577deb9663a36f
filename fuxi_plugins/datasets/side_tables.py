"""Tables beside the rows: what is known of every user or item, a row each, joined to the rows by their ids.

A table is kept in memory while the rows are read. An id without a row in it has missing values.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.blocks import Block
from fuxi_plugins.datasets.reading.files import read_blocks, read_header
from fuxi_plugins.datasets.reading.forms import FileFormat
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.spec import DatasetSpec, TableKey

_ID, _PART = "\0id", "\0part"  # no column of a file is called so


@dataclass
class SideTable:
    """One table.

    name: of its file.
    key: its column of ids.
    of_rows: the column of these ids in the rows.
    rows: by id, the number of its row in ``frame``.
    frame: the columns that are joined.
    matched: how many rows found theirs so far.
    """

    name: str
    key: str
    of_rows: str
    rows: dict[str, int]
    frame: pl.DataFrame
    matched: int = field(default=0)

    def beside(self, keys: pl.Series, columns: Sequence[str]) -> list[pl.Series]:
        """Those columns for rows of these ids; missing where the table has no row of an id."""
        texts = as_text(keys)
        different = texts.unique()
        places = pl.Series([self.rows.get(text) for text in different], dtype=pl.UInt32)
        place = texts.replace_strict(different, places, return_dtype=pl.UInt32)
        self.matched += len(place) - place.null_count()
        return [self.frame[column].gather(place) for column in columns]


def open_tables(spec: DatasetSpec, raw: Path) -> list[SideTable]:
    """The tables of a dataset, with the columns that its config names and its rows lack.

    A column that several tables have is the first one's, in the order of the config.

    Raises:
        UserError: a table has no column of its key, or two rows of one id.
    """
    if not spec.tables:
        return []
    own = read_header(raw / spec.train_data, spec.file_format)
    wanted = [name for name in spec.columns_read("train") if name not in own]
    tables: list[SideTable] = []
    for name, key in spec.tables.items():
        table = read_table(raw, name, *keys_of(key), wanted, spec.file_format)
        wanted = [column for column in wanted if column not in table.frame.columns]
        tables.append(table)
    return tables


def keys_of(key: TableKey) -> tuple[str, str]:
    """The column of ids of a table, and that of the rows, as a config says them: of one name, or ``{userid: user}``."""
    return (key, key) if isinstance(key, str) else next(iter(key.items()))


def read_table(
    folder: Path, name: str, key: str, of_rows: str, columns: Sequence[str] | None, file_format: FileFormat
) -> SideTable:
    """A table with those of its columns that are among ``columns``; with None all.

    Args:
        folder, name: of its file.
        key, of_rows: its column of ids, and that of the rows.
        columns: those that are joined.
        file_format: of the file.

    Raises:
        UserError: it has no column ``key``, an id is missing or stands in two rows, or two parts of the table differ in
            what they say of one.
    """
    header = read_header(folder / name, file_format)
    if key not in header:
        raise UserError(f"{name} must have the column {key!r}, by which tables joins it, but has {', '.join(header)}.")
    kept = [column for column in header if column != key and (columns is None or column in columns)]
    blocks = [
        replace(
            block,
            frame=block.frame.select(
                pl.lit(block.path.as_posix()).alias(_PART), as_text(block.frame[key]).alias(_ID), *kept
            ),
        )
        for block in read_blocks(folder / name, [key, *kept], file_format)
    ]
    if not blocks:
        raise UserError(f"{name} must hold rows, but has only its header.")
    table = pl.concat([block.frame for block in blocks], how="vertical_relaxed")
    again = table.filter(table[_ID].is_null() | table.select(_PART, _ID).is_duplicated())
    different = table.drop(_PART).unique(maintain_order=True)  # several parts may hold an item, and say the same of it
    wrong = [*again[_ID], *different.filter(different[_ID].is_duplicated())[_ID]]
    if wrong:
        text = wrong[0]
        seen = f"parts of it differ in what they say of {text!r}"
        if again.height:
            seen = "it is missing" if text is None else f"{text!r} stands in several"
        block, row = _last_place(blocks, text)
        place = (
            f"{block.path.relative_to(folder)}, {block.unit} {block.line(row)}"  # parts of two folders are called alike
        )
        raise UserError(
            f"{place}: each row must have an id of its own in {key!r}, by which {name} is joined, but {seen}."
        )
    rows = dict(zip(different[_ID], range(different.height), strict=True))
    return SideTable(name, key, of_rows, rows, different.select(kept))


def _last_place(blocks: Sequence[Block], text: str | None) -> tuple[Block, int]:
    """The last row of an id."""
    for block in reversed(blocks):
        rows = block.frame[_ID].eq_missing(text).arg_true()
        if len(rows):
            return block, rows[-1]
    raise AssertionError("the id is in one of the blocks")


def read_rows(
    path: Path,
    columns: Sequence[str],
    file_format: FileFormat,
    tables: Sequence[SideTable],
    block_bytes: int | None = None,
    heads_of: Collection[Path] | None = None,
) -> Iterator[Block]:
    """:func:`read_blocks` with the columns of tables among ``columns``, where the file has none of that name."""
    if not tables:
        yield from read_blocks(path, columns, file_format, block_bytes, heads_of)
        return
    own = read_header(path, file_format)
    lacking = [name for name in columns if name not in own]
    joined = [(table, [name for name in lacking if name in table.frame.columns]) for table in tables]
    joined = [(table, names) for table, names in joined if names]
    beside = {name for _, names in joined for name in names}
    keys = [table.of_rows for table, _ in joined]
    read = list(dict.fromkeys([*(name for name in columns if name not in beside), *keys]))
    for block in read_blocks(path, read, file_format, block_bytes, heads_of):
        found = [one for table, names in joined for one in table.beside(block.frame[table.of_rows], names)]
        yield replace(block, frame=block.frame.with_columns(found).select(columns))


def header_with_tables(
    path: Path, raw: Path, tables: Mapping[str, TableKey] | None, file_format: FileFormat
) -> list[str]:
    """The columns of a file of rows, and behind them those that the tables add."""
    names = read_header(path, file_format)
    for table, key in (tables or {}).items():
        added = [name for name in read_header(raw / table, file_format) if name not in (*names, keys_of(key)[0])]
        names += added
    return names


def require_matches(tables: Sequence[SideTable]) -> None:
    """
    Raises:
        UserError: no row found its row in a table.
    """
    for table in tables:
        if not table.matched and table.frame.width:
            raise UserError(
                f"{table.name} must hold the ids that the rows have in {table.of_rows}, but holds none of them. Are "
                "they written in another way there, as 7.0 for 7?"
            )
