"""Which of several times divides the rows and gives hours: that at which they were shown."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.describing.interaction_log import find_log
from fuxi_plugins.datasets.describing.names import is_time_of_change, is_time_of_origin
from fuxi_plugins.datasets.describing.row_times import row_times

ROWS = 3000


def clicks() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "user_id": random.integers(0, 100, ROWS),
            "item_id": random.integers(0, 300, ROWS),
            "ts": np.sort(1_700_000_000 + random.integers(0, 30 * 86400, ROWS)),
            "label": random.integers(0, 2, ROWS),
        }
    )


# Of each column that is no time of the row, its values; all of them stand before the time of the row.
OTHERS = {
    "publish_time": lambda rows: 1_690_000_000 + rows.item_id * 8640,
    "stamp_time": lambda rows: 1_690_000_000 + rows.item_id * 8640,
    "birth_date": lambda rows: pd.to_datetime(10_000 + rows.user_id * 10, unit="D"),
    "signup_date": lambda rows: 1_690_000_000 + rows.user_id * 8640,
    "first_seen": lambda rows: pd.to_datetime(1_690_000_000 + rows.user_id * 8640, unit="s"),
    "dob": lambda rows: pd.to_datetime(9_000 + np.arange(ROWS)[::-1], unit="D"),
    "updated_at": lambda rows: 1_700_000_000 + np.arange(ROWS)[::-1] * 60,
    "click_at": lambda rows: rows.ts + 5,
    "date": lambda rows: pd.to_datetime(rows.ts, unit="s").dt.strftime("%Y-%m-%d"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_time_of_the_row_is_taken_wherever_it_stands(tmp_path, name):
    rows = clicks()
    rows.insert(0, name, OTHERS[name](rows))
    rows.to_parquet(tmp_path / "clicks.parquet")
    found = describe("mine", tmp_path / "clicks.parquet")
    assert found.entry["split"]["column"] == "ts"
    assert {column["name"] for column in found.entry["feature_cols"]} >= {"ts_hour", "ts_weekday"}
    assert name in " ".join(remark for remark in found.remarks if "times" in remark and "Left out" not in remark)


@pytest.mark.parametrize("name", ["publish_time", "stamp_time", "birth_date"])
def test_where_no_other_time_is_there_rows_are_divided_at_random(tmp_path, name):
    rows = clicks()
    rows[name] = OTHERS[name](rows)
    rows.drop(columns="ts").to_parquet(tmp_path / "clicks.parquet")
    found = describe("mine", tmp_path / "clicks.parquet")
    assert found.entry["split"]["by"] == "random"
    assert f"No times of the rows, for they tell of users or items or say so by their names: {name}." in found.remarks


@pytest.mark.parametrize("name", ["created_at", "click_time"])
def test_a_time_in_doubt_is_taken_where_there_is_no_other(tmp_path, name):
    clicks().rename(columns={"ts": name}).to_parquet(tmp_path / "clicks.parquet")
    assert describe("mine", tmp_path / "clicks.parquet").entry["split"]["column"] == name


def test_days_are_of_the_rows_although_each_visitor_came_on_one_day():
    """A file in the order of its days is a log, whatever its users do."""
    days = np.repeat(["2026-03-01", "2026-03-02", "2026-03-03"], 60)
    frame = pl.DataFrame({"visitor_id": np.arange(180) // 3, "date": days})
    assert row_times(["date"], frame) == ["date"]
    assert row_times(["date"], frame.sample(fraction=1, shuffle=True, seed=1)) == []


def test_ids_that_do_not_come_back_tell_nothing():
    frame = pl.DataFrame({"user_id": np.arange(60), "time": np.arange(60)[::-1]})
    assert row_times(["time"], frame) == ["time"]


def test_a_log_is_at_the_time_of_its_rows():
    rows = pl.DataFrame(clicks().assign(release_date=lambda rows: 1_690_000_000 + rows.item_id * 8640))
    assert find_log(rows.select("release_date", "user_id", "item_id", "ts")).time == "ts"
    bought = rows.select("user_id", "item_id", bought_at="ts", date=(pl.col("ts") // 86400) * 86400)
    assert find_log(bought).time == "bought_at"


def test_words_for_times_that_are_not_of_the_row():
    origins = (
        "birth_date dateOfBirth birthday signup_ts registered_at join_date first_seen first_order_date publishTime"
    )
    assert [name for name in [*origins.split(), "expires_on"] if not is_time_of_origin(name)] == []
    changes = "created_at updated_at last_login_date last_seen item_modified_time"
    assert [name for name in changes.split() if not is_time_of_change(name)] == []
    for name in ("time", "timestamp", "event_date", "impression_time", "day", "release", "first_name", "click_at"):
        assert not is_time_of_origin(name)
        assert not is_time_of_change(name)
