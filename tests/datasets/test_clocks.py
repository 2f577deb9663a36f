"""Hours and weekdays of times: by Python's own calendar, from every form of a time, and only where they help."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.core.workspace import Workspace
from fuxi_plugins.datasets.catalogue import read_spec
from fuxi_plugins.datasets.describing.describe import describe
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.reading.dates import wall_clock
from fuxi_plugins.datasets.store import read_columns

ROWS = 500
START = datetime(2026, 3, 1, 0, 30)
MOMENTS = [START + timedelta(hours=3.1 * row) for row in range(ROWS)]  # over two months
OTHERS = {"user": [f"u{row % 9}" for row in range(ROWS)], "click": [int(row % 7 < 3) for row in range(ROWS)]}
moments = st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1))
zones = st.integers(-12 * 4, 14 * 4).map(lambda quarters: timezone(timedelta(minutes=15 * quarters)))


def shown(values: pl.Series) -> list[datetime]:
    return wall_clock(values).dt.truncate("1s").to_list()


@given(st.lists(st.tuples(moments, zones), min_size=1))
def test_a_date_is_shown_as_it_is_written(drawn):
    local = [moment.replace(microsecond=0) for moment, _ in drawn]
    written = [moment.replace(tzinfo=zone) for moment, (_, zone) in zip(local, drawn, strict=True)]
    assert shown(pl.Series([moment.isoformat() for moment in written])) == local
    assert shown(pl.Series([f"{moment:%d.%m.%Y %H:%M:%S}" for moment in written])) == local
    assert shown(pl.Series(local)) == local
    assert shown(pl.Series(local).dt.replace_time_zone("Asia/Kolkata")) == local


@given(st.lists(moments, min_size=1))
def test_a_number_counts_from_1970_in_utc(drawn):
    whole = [moment.replace(microsecond=0) for moment in drawn]
    since = [int(moment.replace(tzinfo=UTC).timestamp()) for moment in whole]
    for unit in (1, 10**3, 10**6, 10**9):
        counted = pl.Series([moment * unit for moment in since])
        assert shown(counted) == whole
        assert shown(counted.cast(pl.String)) == whole


def test_what_is_no_moment_is_null():
    assert wall_clock(pl.Series(["yesterday", "12", None, ""])).null_count() == 4
    assert wall_clock(pl.Series([date(2026, 3, 1)])).to_list() == [datetime(2026, 3, 1)]


WRITTEN = {
    "datetimes": MOMENTS,
    "a zone": pl.Series(MOMENTS).dt.replace_time_zone("America/New_York", non_existent="null", ambiguous="earliest"),
    "text": [f"{moment:%Y-%m-%d %H:%M:%S}" for moment in MOMENTS],
    "seconds": [int(moment.replace(tzinfo=UTC).timestamp()) for moment in MOMENTS],
    "milliseconds": [int(moment.replace(tzinfo=UTC).timestamp() * 1000) for moment in MOMENTS],
}


def prepared(folder, entry):
    return prepare_dataset(read_spec("mine", entry, folder), Workspace(folder, folder, folder / "cache"))


@pytest.mark.parametrize("form", WRITTEN)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_every_form_gives_the_same_features(tmp_path, form, ending):
    frame = pl.DataFrame({"seen_at": WRITTEN[form], **OTHERS})
    (frame.write_csv if ending == "csv" else frame.write_parquet)(tmp_path / f"log.{ending}")
    described = describe("mine", tmp_path / f"log.{ending}")
    computed = {c["name"]: c["preprocess"] for c in described.entry["feature_cols"] if c.get("preprocess")}
    computed.pop("group_id", None)
    assert computed == {"seen_at_hour": "hour_of(seen_at)", "seen_at_weekday": "weekday_of(seen_at)"}
    assert "Computed of the times in seen_at: seen_at_hour, seen_at_weekday." in described.remarks
    data = prepared(tmp_path, described.entry | {"split": {"by": "order", "valid": 0.2, "test": 0.2}})
    stored = [read_columns(data.split_folder(split)) for split in ("train", "valid", "test")]
    for name, of in (("seen_at_hour", datetime.hour.__get__), ("seen_at_weekday", datetime.isoweekday)):
        ids = np.concatenate([columns[name] for columns in stored])
        pairs = set(zip(ids.tolist(), map(of, MOMENTS), strict=True))
        assert len(pairs) == len({of(moment) for moment in MOMENTS}), "an id an hour, and an hour an id"


@pytest.mark.parametrize(
    ("columns", "made"),
    [
        ({"seen_at": [moment.date() for moment in MOMENTS]}, {"seen_at_weekday"}),
        ({"seen_at": [START + timedelta(minutes=row) for row in range(ROWS)]}, {"seen_at_hour"}),
        ({"seen_at": MOMENTS, "hour": [moment.hour for moment in MOMENTS]}, {"seen_at_weekday"}),
        ({"seen_at": MOMENTS, "seen_at_hour": ["x", "y"] * (ROWS // 2), "dow": ["x", "y"] * (ROWS // 2)}, set()),
        ({"click_time": MOMENTS}, set()),
        ({"seen (at)": MOMENTS}, set()),
        ({"click_time": MOMENTS, "seen_at": MOMENTS}, {"seen_at_hour", "seen_at_weekday"}),
        ({"seen_at": [None, *MOMENTS[1:]]}, set()),
        ({"hour": [f"{moment:%y%m%d%H}" for moment in MOMENTS]}, set()),
        ({"time": [f"{moment:%Y%m%d%H}" for moment in MOMENTS]}, set()),
    ],
)
def test_hours_and_weekdays_are_made_where_they_say_something_new(tmp_path, columns, made):
    pl.DataFrame({**columns, **OTHERS}).write_parquet(tmp_path / "log.parquet")
    entry = describe("mine", tmp_path / "log.parquet").entry
    computed = {c["name"] for c in entry["feature_cols"] if c.get("preprocess", "").startswith(("hour", "weekday"))}
    assert computed == made
    prepared(tmp_path, entry)


def test_a_moment_that_is_none_is_an_error_and_a_missing_one_an_id(tmp_path):
    pl.DataFrame({"seen_at": WRITTEN["text"], **OTHERS}).write_csv(tmp_path / "log.csv")
    entry = describe("mine", tmp_path / "log.csv").entry | {"split": {"by": "order", "valid": 0.2, "test": 0.2}}
    pl.DataFrame({"seen_at": ["", *WRITTEN["text"][1:]], **OTHERS}).write_csv(tmp_path / "log.csv")
    hours = read_columns(prepared(tmp_path, entry).split_folder("train"))["seen_at_hour"]
    assert (hours == hours[0]).sum() == 1
    pl.DataFrame({"seen_at": ["soon", *WRITTEN["text"][1:]], **OTHERS}).write_csv(tmp_path / "log.csv")
    with pytest.raises(UserError, match=r"log.csv, line 2: column 'seen_at' must hold dates .* but holds 'soon'"):
        prepared(tmp_path, entry)


def test_hours_are_ids(tmp_path):
    pl.DataFrame({"seen_at": MOMENTS, **OTHERS}).write_parquet(tmp_path / "log.parquet")
    entry = describe("mine", tmp_path / "log.parquet").entry
    (hour,) = (column for column in entry["feature_cols"] if column["name"] == "seen_at_hour")
    hour |= {"type": "numeric", "dtype": "float"}
    with pytest.raises(UserError, match="hours and weekdays are ids"):
        read_spec("mine", entry, tmp_path)
