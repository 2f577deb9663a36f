"""Which of a table's times says when a row was shown: not when its user was born or its item was published."""

from collections.abc import Sequence

import polars as pl

from fuxi_plugins.datasets.describing.names import (
    is_item,
    is_time_of_change,
    is_time_of_origin,
    is_time_of_outcome,
    is_user,
)
from fuxi_plugins.datasets.reading.values import as_text

FEWEST_IDS = 10  # of several rows each, without which nobody can tell whether a time is of the row or of an id


def row_times(moments: Sequence[str], frame: pl.DataFrame, *, of_outcomes_last: bool = True) -> list[str]:
    """Those of the ``moments`` that may be times of the rows, the most likely first: of equals the finest.

    Args:
        moments: columns that hold times.
        frame: the first rows.
        of_outcomes_last: a time of a click says less than another; not in a log, whose rows are outcomes.
    """
    named = frame.select(name for name in frame.columns if is_user(name) or is_item(name))
    users_and_items = [as_text(ids) for ids in named if not ids.dtype.is_nested()]

    def doubt(name: str) -> int:
        return is_time_of_change(name) + (of_outcomes_last and is_time_of_outcome(name))

    of_rows = [
        name
        for name in moments
        if not (is_time_of_origin(name) or any(_is_told_by(ids, frame[name]) for ids in users_and_items))
    ]
    return sorted(of_rows, key=lambda name: (doubt(name), -frame[name].n_unique()))


def _is_told_by(ids: pl.Series, times: pl.Series) -> bool:
    """Whether a time is one of users or items: each id has one, although it stands in several rows.

    Rows in the order of a time are a log at that time, whose users may all come but once.
    """
    if not times.dtype.is_nested() and times.is_sorted():
        return False
    pairs = pl.DataFrame({"id": ids, "time": as_text(times)}).drop_nulls()
    by_id = pairs.group_by("id").agg(pl.len(), pl.col("time").n_unique())
    again = by_id.filter(pl.col("len") > 1)
    return again.height >= FEWEST_IDS and pairs["time"].n_unique() > 1 and bool((again["time"] == 1).all())


def of_times(moments: Sequence[str], times: Sequence[str]) -> list[str]:
    """What their owner is told: which times are not those of the rows, and which of several is taken.

    Args:
        moments: columns that hold times.
        times: those of them that :func:`row_times` found.
    """
    others = [name for name in moments if name not in times]
    said = []
    if others:
        said.append(
            f"No times of the rows, for they tell of users or items or say so by their names: {', '.join(others)}."
        )
    if len(times) > 1:
        said.append(f"Of several times {times[0]} is taken first for that of the row; others: {', '.join(times[1:])}.")
    return said
