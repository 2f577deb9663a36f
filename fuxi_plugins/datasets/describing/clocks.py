"""Hours and weekdays as features, where the rows say when they were shown."""

from collections.abc import Sequence
from typing import Any

import polars as pl

from fuxi_plugins.datasets.describing.columns import are_dates_of_digits
from fuxi_plugins.datasets.describing.names import is_hour, is_time_of_outcome, is_weekday
from fuxi_plugins.datasets.reading.dates import wall_clock
from fuxi_plugins.datasets.reading.values import as_text
from fuxi_plugins.datasets.statistics import number

DAY = 24 * 3600 * 10**6  # in microseconds
TWO_WEEKS = 14 * DAY  # that times must span for weekdays to come back


def clock_columns(moments: Sequence[str], frame: pl.DataFrame) -> tuple[list[dict[str, Any]], list[str]]:
    """The columns that are computed of the first of the ``moments`` that all rows have, and what is said of them.

    Times of outcomes, as of a click, are passed over, and so are dates written as digits alone, such as 14102123.
    """
    for name in moments:
        if set(name) & set("()"):  # which preprocess puts around a name
            continue
        shown = wall_clock(frame[name]).to_physical()
        if not (shown.null_count() or is_time_of_outcome(name) or are_dates_of_digits(as_text(frame[name]))):
            break
    else:
        return [], []
    entries = []
    if (shown % DAY != 0).any() and not any(map(is_hour, frame.columns)):
        entries.append(_entry(name, "hour"))
    if number(shown.max()) - number(shown.min()) >= TWO_WEEKS and not any(map(is_weekday, frame.columns)):
        entries.append(_entry(name, "weekday"))
    entries = [entry for entry in entries if entry["name"] not in frame.columns]
    made = ", ".join(entry["name"] for entry in entries)
    return entries, [f"Computed of the times in {name}: {made}."] if entries else []


def _entry(name: str, what: str) -> dict[str, Any]:
    few = {"min_categr_count": 1}  # for there are so few that none is rare
    return {"name": f"{name}_{what}", "type": "categorical", "dtype": "str", "preprocess": f"{what}_of({name})"} | few
