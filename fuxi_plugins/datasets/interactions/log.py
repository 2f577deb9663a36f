"""Reads a log of interactions into arrays, user after user in order of time."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.interactions.attributes import as_written
from fuxi_plugins.datasets.interactions.settings import Log
from fuxi_plugins.datasets.label_rule import LabelRule
from fuxi_plugins.datasets.reading.blocks import Block, first_row
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.reading.opening import pieces
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.splitting import moments

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Interactions:
    """N interactions, sorted by user, then moment, then their order in the log.

    users: (U,) ids, in the order in which the log first names them.
    items: (I,) ids, sorted as numbers if all of them are, else as text.
    user, item: (N,) places in ``users`` and ``items``.
    moment: (N,) numbers that grow with time.
    positive: (N,) truth values.
    file: (N,) places in the log's files.
    context: (N, C) text of further columns.
    """

    users: pl.Series
    items: pl.Series
    user: np.ndarray
    item: np.ndarray
    moment: np.ndarray
    positive: np.ndarray
    file: np.ndarray
    context: pl.DataFrame

    @cached_property
    def timestamps(self) -> np.ndarray:
        """(N,) the moments as they are written: as whole numbers if all of them are."""
        return self.moment.astype(np.int64) if (self.moment == np.floor(self.moment)).all() else self.moment


def read_log(folder: Path, log: Log) -> Interactions:
    """The whole log, in memory.

    Raises:
        UserError: a file is not of its form, or an interaction lacks a user, an item, a moment or what tells whether
            it is positive.
    """
    read = {"table": _rows, "sequences": _sequences}[log.form]
    frames = [
        frame.with_columns(pl.lit(place, pl.UInt8).alias("file"))
        for place, name in enumerate(log.files)
        for frame in read(folder / name, log)
    ]
    if not frames:
        raise UserError(f"{', '.join(log.files)} must hold interactions, but holds none.")
    table = pl.concat(frames)
    del frames
    users, items = table["user"].unique(maintain_order=True), _sorted(table["item"].unique())
    table = table.with_columns(_places(table["user"], users), _places(table["item"], items))
    table = table.sort("user", "moment", maintain_order=True)
    _refuse_splitter(items)
    return Interactions(
        users=users,
        items=items,
        user=table["user"].to_numpy(),
        item=table["item"].to_numpy(),
        moment=table["moment"].to_numpy(),
        positive=table["positive"].to_numpy(),
        file=table["file"].to_numpy(),
        context=table.select(log.context),
    )


def _rows(path: Path, log: Log) -> Iterator[pl.DataFrame]:
    """Of a table, block by block."""
    said = log.what_is_positive
    named = [log.user, log.item, log.time, *([said.column] if said else []), *log.context]
    for block in read_blocks(path, list(dict.fromkeys(named)), log.file_format):
        yield pl.DataFrame(
            {
                "user": _ids(block, log.user),
                "item": _ids(block, log.item),
                "moment": moments(block, log.time),
                "positive": _positives(block, log),
                **{name: as_written(block.frame[name]) for name in log.context},
            }
        )


def _ids(block: Block, column: str) -> pl.Series:
    ids = as_text(block.frame[column])
    if ids.null_count():
        raise UserError(f"{block.place(first_row(ids.is_null()))}: {column!r} must hold an id, but is empty.")
    return ids


def _positives(block: Block, log: Log) -> pl.Series:
    said = log.what_is_positive
    if said is None:
        return pl.repeat(True, block.frame.height, dtype=pl.Boolean, eager=True)
    positive = LabelRule.parse(said.rule).positives(block.frame[said.column])
    if positive.null_count():
        row = first_row(positive.is_null())
        raise UserError(
            f"{block.place(row)}: {said.column!r} must be what the rule {said.rule!r} can compare, but is "
            f"{block.frame[said.column][row]!r}."
        )
    return positive


def _sequences(path: Path, log: Log) -> Iterator[pl.DataFrame]:
    """Of a line a user; a sequence's moments are its places, from 1."""
    lines = pl.Series("line", b"".join(pieces(path, _PIECE_BYTES)).decode(log.encoding).rstrip().split("\n"))
    words = lines.str.extract_all(r"\S+")
    short = words.list.len() < 2
    if short.any():
        row = first_row(short)
        raise UserError(
            f"{path.name}, line {row + 1}: a line must hold a user's id and then items, but this one is {lines[row]!r}."
        )
    table = pl.DataFrame({"user": words.list.first(), "item": words.list.slice(1)})
    if (again := table["user"].is_first_distinct().not_()).any():
        row = first_row(again)
        raise UserError(
            f"{path.name}, line {row + 1}: a user must have one line, but {table['user'][row]!r} has another before."
        )
    places = pl.int_ranges(1, table["item"].list.len() + 1, dtype=pl.Int64, eager=True)
    yield (
        table.with_columns(moment=places, positive=True)
        .explode("item", "moment", empty_as_null=True)
        .with_columns(pl.col("moment").cast(pl.Float64))
    )


def _sorted(ids: pl.Series) -> pl.Series:
    numbers = ids.cast(pl.Int64, strict=False)
    return pl.DataFrame({"id": ids, "number": None if numbers.null_count() else numbers}).sort("number", "id")["id"]


def _places(values: pl.Series, among: pl.Series) -> pl.Series:
    places = pl.DataFrame({values.name: among}).with_row_index("place")
    found = values.to_frame().join(places, on=values.name, how="left", maintain_order="left")
    return found["place"].cast(pl.Int64).alias(values.name)


def _refuse_splitter(items: pl.Series) -> None:
    odd = items.filter(items.str.contains("^", literal=True))
    if len(odd):
        raise UserError(f"an item's id must not hold ^, which joins the items of a history, but {odd[0]!r} does.")
