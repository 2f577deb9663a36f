"""The features of rows that are made of a log, beside users, items and histories: the log's own and those of tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from fuxi_plugins.datasets.describing.columns import Guess, Head, guess_column
from fuxi_plugins.datasets.describing.labels import LabelGuess
from fuxi_plugins.datasets.describing.relations import without_outcomes, without_requests
from fuxi_plugins.datasets.describing.side_tables import without_names
from fuxi_plugins.datasets.interactions.settings import ROW_COLUMNS
from fuxi_plugins.datasets.side_tables import SideTable


@dataclass(frozen=True)
class LogColumns:
    """Which columns of a table say who did something with what, and when."""

    user: str
    item: str
    time: str


@dataclass(frozen=True)
class LogFeatures:
    """What rows get beside the columns that each has.

    context: columns of the log.
    tables: by ``items`` and ``users``, the table that tells of them.
    told: likewise, the columns that it tells.
    entries: all of these columns, as ``feature_cols`` has them.
    """

    context: list[str]
    tables: dict[str, SideTable]
    told: dict[str, list[str]]
    entries: list[dict[str, Any]]

    @property
    def names(self) -> list[str]:
        return [entry["name"] for entry in self.entries]


def find_features(
    frame: pl.DataFrame,
    types: Mapping[str, str],
    log: LogColumns,
    label: LabelGuess | None,
    tables: Sequence[SideTable],
    with_context: bool,
) -> LogFeatures:
    """The features among the columns of a log and its tables; outcomes, sessions and times are none.

    Args:
        frame: the first rows of the log, with the columns of the tables.
        types: what headers say of columns.
        log: the columns that every made row has under names of its own.
        label: which rows are positive.
        tables: beside the log.
        with_context: whether columns of the log are features; a drawn negative would have those of its positive.
    """
    guesses = _guesses(frame, types, log, label, tables)
    found: dict[str, SideTable] = {}
    told: dict[str, list[str]] = {}
    for what, key in (("items", log.item), ("users", log.user)):
        for table in tables:
            names = [name for name in table.frame.columns if name in guesses]
            if table.of_rows == key and len(names) > len(told.get(what, [])):  # of several, the one that tells most
                found[what], told[what] = table, names
    of_tables = {name for table in tables for name in table.frame.columns}
    context = [name for name in guesses if name not in of_tables] if with_context else []
    names = [*context, *(name for names in told.values() for name in names)]
    return LogFeatures(context, found, told, [guesses[name].entry for name in names])


def _guesses(
    frame: pl.DataFrame,
    types: Mapping[str, str],
    log: LogColumns,
    label: LabelGuess | None,
    tables: Sequence[SideTable],
) -> dict[str, Guess]:
    taken = (log.user, log.item, log.time, label.name if label else None, *ROW_COLUMNS)
    heads = [Head(name, frame[name], type=types.get(name)) for name in frame.columns if name and name not in taken]
    guesses = without_names({head.name: guess_column(head) for head in heads}, tables)
    if label:
        guesses = without_outcomes(guesses, frame, label)
    return {name: guess for name, guess in without_requests(guesses, frame).items() if guess.active}
